/** Quiet for so long, a size is told: while a window is being resized nothing is. */
const SETTLE_MS = 100;
/** The server takes 60 frames a second from a client; a crowd that scrolls by leaves room for the rest. */
const MOST_AT_ONCE = 20;
const NEXT_MS = 500;
/** Sizes are rounded up to this many pixels: no layer differs by less. */
const STEP = 16;

const rounded = (pixels) => Math.ceil(pixels / STEP) * STEP;

/**
 * How large each received video is looked at, told to the server when it changes and not more often than it must be.
 *
 * A view belongs to somebody's source (`key`), since tracks come and go under it.
 */
export class Views {
  #tell;
  #wanted = new Map();
  #hidden = new Set();
  #tracks = new Map();
  #told = new Map();
  #timer = null;

  /** @param {(trackId: string, view: {visible: boolean, width?: number, height?: number}) => boolean} tell false: try later */
  constructor(tell) {
    this.#tell = tell;
  }

  /** Somebody looks at `key` like this, in device pixels; null: nobody looks any more. */
  set(key, view) {
    if (view === null) this.#wanted.delete(key);
    else if (view.visible)
      this.#wanted.set(key, { visible: true, width: rounded(view.width), height: rounded(view.height) });
    else this.#wanted.set(key, { visible: false });
    this.#settle(SETTLE_MS);
  }

  /** What was told of `key` does not hold any more. */
  again(key) {
    this.#told.delete(this.#tracks.get(key));
    this.#settle(SETTLE_MS);
  }

  /** Whether `key` is of no use however it is looked at, since it cannot be decrypted. */
  hide(key, hidden) {
    if (hidden) this.#hidden.add(key);
    else this.#hidden.delete(key);
    this.#settle(SETTLE_MS);
  }

  /** The tracks that are received now. @param {Map<string, string>} tracks key → track_id */
  received(tracks) {
    this.#tracks = tracks;
    const ids = new Set(tracks.values());
    for (const trackId of this.#told.keys()) if (!ids.has(trackId)) this.#told.delete(trackId);
    this.#settle(SETTLE_MS);
  }

  /** A new session of the server knows nothing of what was told to the last one. */
  forget() {
    this.#told.clear();
    this.#hidden.clear();
  }

  close() {
    clearTimeout(this.#timer);
    this.#wanted.clear();
  }

  #settle(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#flush(), delay);
  }

  #flush() {
    let left = MOST_AT_ONCE;
    for (const [key, view] of this.#wanted) {
      const trackId = this.#tracks.get(key);
      const shown = this.#hidden.has(key) ? { visible: false } : view;
      const text = JSON.stringify(shown);
      if (trackId === undefined || this.#told.get(trackId) === text) continue;
      if (left === 0) {
        this.#settle(NEXT_MS);
        return;
      }
      left -= 1;
      if (this.#tell(trackId, shown)) this.#told.set(trackId, text);
    }
  }
}
