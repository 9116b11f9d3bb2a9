/** RFC 6464 levels come as 0…1 here; below this a microphone hears a quiet room. */
const SPEAKING_LEVEL = 0.02;
/** Kept a little after the last sound, so that the mark does not flicker between words. */
const SPEAKING_HOLD_MS = 600;

/** How often to `read`: a quarter of a short syllable, since levels are those of the last packet only. */
export const LEVELS_MS = 50;

/** Who is heard now, by the levels that come with their sound. */
export class Levels {
  #heard = new Map();

  /** Look at all microphones that are received; answers whose speak. @returns {Set<string>} user ids */
  read(media, now = performance.now()) {
    for (const { userId, source, receiver } of media) {
      if (source !== 'microphone') continue;
      const level = Math.max(0, ...receiver.getSynchronizationSources().map(({ audioLevel }) => audioLevel ?? 0));
      if (level > SPEAKING_LEVEL) this.#heard.set(userId, now);
    }
    for (const [userId, at] of this.#heard) if (now - at >= SPEAKING_HOLD_MS) this.#heard.delete(userId);
    return new Set(this.#heard.keys());
  }
}
