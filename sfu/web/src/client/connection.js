/** One RTCPeerConnection to the SFU, and whether it is of use. */
export class Connection {
  #changed;
  #unusable = false;

  /**
   * @param {RTCConfiguration} configuration
   * @param {() => void} changed called when `connected` or `broken` may be another
   */
  constructor(configuration, changed) {
    this.pc = new RTCPeerConnection({ ...configuration, bundlePolicy: 'max-bundle' });
    this.closed = false;
    this.#changed = changed;
    this.pc.onconnectionstatechange = () => this.closed || changed();
  }

  get connected() {
    return this.pc.connectionState === 'connected';
  }

  get broken() {
    return this.#unusable || ['disconnected', 'failed'].includes(this.pc.connectionState);
  }

  /** A step of a negotiation. Where it fails, the connection is of no use any more; a closed one is nobody's concern. */
  async step(work) {
    try {
      await work();
    } catch {
      if (this.closed) return;
      this.#unusable = true;
      this.#changed();
    }
  }

  close() {
    this.closed = true;
    this.pc.close();
  }
}
