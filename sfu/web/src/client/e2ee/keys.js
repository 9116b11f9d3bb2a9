import { AES_128_GCM_SHA256_128, deriveKey } from './sframe.js';

/** OWASP's figure of 2023 for SHA-512: what a guess at a weak passphrase costs whoever kept the frames. */
const ITERATIONS = 210_000;
const BASE_KEY_BYTES = 16;
/** Kept of one sender: their present key and those of rooms that they left and joined again. */
const MOST_KEYS = 4;

const utf8 = new TextEncoder();
const random64 = () => crypto.getRandomValues(new BigUint64Array(1))[0];

/**
 * The keys of a meeting, all from one passphrase.
 *
 * passphrase —PBKDF2, salted with the meeting's id→ secret —HKDF, with the user's id→ base key of a sender —SFrame, with
 * the key id→ key and salt. A sender draws the key id at random, 64 bits, for each page that joins: it is announced in
 * every frame, so nobody has to be told of it, and counters start at 0 without any being used twice under one key.
 */
export class KeyRing {
  #secret;
  #own = null;
  #ofOthers = new Map();

  constructor(passphrase, meetingId) {
    this.#secret = this.#stretch(passphrase, meetingId);
  }

  /** Who this side is from now on. */
  begin(userId) {
    if (this.#own?.userId !== userId) this.#own = { userId, ctr: 0n, key: this.#derive(userId, random64()) };
  }

  /** The key to encrypt the next frame with, and its counter, which nobody else gets. */
  async next() {
    const own = this.#own;
    const ctr = own.ctr++;
    return { key: await own.key, ctr };
  }

  /** The key that a user encrypts with under a key id. */
  of(userId, kid) {
    const keys = this.#ofOthers.get(userId) ?? new Map();
    this.#ofOthers.set(userId, keys);
    if (!keys.has(kid)) {
      if (keys.size >= MOST_KEYS) keys.delete(keys.keys().next().value);
      keys.set(kid, this.#derive(userId, kid));
    }
    return keys.get(kid);
  }

  async #stretch(passphrase, meetingId) {
    const typed = utf8.encode(passphrase.normalize('NFC'));
    const password = await crypto.subtle.importKey('raw', typed, 'PBKDF2', false, ['deriveBits']);
    const salt = utf8.encode(`Meet E2EE ${meetingId}`);
    const pbkdf2 = { name: 'PBKDF2', hash: 'SHA-512', salt, iterations: ITERATIONS };
    const bits = await crypto.subtle.deriveBits(pbkdf2, password, 256);
    return crypto.subtle.importKey('raw', bits, 'HKDF', false, ['deriveBits']);
  }

  async #derive(userId, kid) {
    const info = utf8.encode(`Meet E2EE sender ${userId}`);
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info };
    const baseKey = await crypto.subtle.deriveBits(hkdf, await this.#secret, 8 * BASE_KEY_BYTES);
    return deriveKey(AES_128_GCM_SHA256_128, new Uint8Array(baseKey), kid);
  }
}
