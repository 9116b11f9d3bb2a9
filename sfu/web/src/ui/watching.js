/**
 * How large each tile is looked at, told to the call: its size on the screen in device pixels, and nothing where it is
 * scrolled out of view or the whole tab is hidden.
 */
export class Watching {
  #call;
  #tiles = new Map();
  #sizes = new ResizeObserver((entries) => this.#each(entries, ({ contentRect: { width, height } }) => ({ width, height })));
  #places = new IntersectionObserver((entries) => this.#each(entries, ({ isIntersecting }) => ({ inView: isIntersecting })));

  constructor(call) {
    this.#call = call;
    document.addEventListener('visibilitychange', this.#tellAll);
  }

  /** Tell of a tile from now on. @param {Element} element */
  watch(element, userId, source) {
    this.#tiles.set(element, { userId, source, inView: false, width: 0, height: 0 });
    this.#sizes.observe(element);
    this.#places.observe(element);
  }

  unwatch(element) {
    const { userId, source } = this.#tiles.get(element);
    this.#tiles.delete(element);
    this.#sizes.unobserve(element);
    this.#places.unobserve(element);
    this.#call.view(userId, source, null);
  }

  close() {
    document.removeEventListener('visibilitychange', this.#tellAll);
    this.#sizes.disconnect();
    this.#places.disconnect();
  }

  #tellAll = () => {
    for (const tile of this.#tiles.values()) this.#tell(tile);
  };

  #each(entries, read) {
    for (const entry of entries) {
      const tile = this.#tiles.get(entry.target);
      if (tile) this.#tell(Object.assign(tile, read(entry)));
    }
  }

  #tell({ userId, source, inView, width, height }) {
    const visible = inView && width > 0 && document.visibilityState === 'visible';
    const scale = devicePixelRatio;
    this.#call.view(userId, source, visible ? { visible, width: width * scale, height: height * scale } : { visible });
  }
}
