/** The channel that is there for everybody: reliable, in order. */
const USUAL = 'data';

/**
 * What participants tell each other beside sound and picture, over data channels (RFC 8831) that the SFU relays: to
 * everybody else who is there now. Not kept, and not encrypted end to end.
 *
 * Event: `message` ({userId, label, data}: a string or an ArrayBuffer that somebody sent).
 */
export class Data extends EventTarget {
  #kinds = new Map([[USUAL, {}]]);
  #channels = new Map();
  #pc = null;

  /**
   * Send something to everybody else; false where there is no way now.
   * @param {string|ArrayBuffer|ArrayBufferView} data
   * @param {string} [label] one that was `open`ed
   */
  send(data, label = USUAL) {
    const channel = this.#channels.get(label);
    if (channel?.readyState !== 'open') return false;
    channel.send(data);
    return true;
  }

  /**
   * Have another channel, with a reliability of its own, in this connection and those that follow it.
   * @param {RTCDataChannelInit} init
   */
  open(label, init = {}) {
    this.#kinds.set(label, init);
    if (this.#pc && !this.#channels.has(label)) this.#channels.set(label, this.#pc.createDataChannel(label, init));
  }

  /** Go on over a new connection, whose first offer is still to be made. @param {RTCPeerConnection} pc */
  attach(pc) {
    this.#pc = pc;
    this.#channels.clear();
    for (const [label, init] of this.#kinds) this.open(label, init);
    pc.ondatachannel = ({ channel }) => this.#heard(channel);
  }

  /** The SFU opens one for each that somebody else sends on; its protocol begins with who that is. */
  #heard(channel) {
    const [userId] = channel.protocol.split(' ', 1);
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) =>
      this.dispatchEvent(new CustomEvent('message', { detail: { userId, label: channel.label, data } }));
  }
}
