import { Connection } from './connection.js';
import { codecOrder, encodingsOf, fit } from './encodings.js';

/** The connection that sends: a transceiver for each source, and offers of them, one at a time. */
export class Publisher extends Connection {
  #send;
  #video;
  #encryption;
  #senders = new Map();
  #offering = false;
  #offerAgain = false;
  #offered = null;

  /** The sources that the last offer was the first to name. */
  proposed = [];

  /**
   * @param {object} options
   * @param {RTCConfiguration} options.configuration
   * @param {() => void} options.changed as of `Connection`
   * @param {(offer: {sdp: RTCSessionDescriptionInit, sources: Record<string, string>}) => void} options.send
   * @param {{codec?: string, scalabilityMode?: string}} [options.video]
   * @param {import('./e2ee/encryption.js').Encryption|null} [options.encryption]
   */
  constructor({ configuration, changed, send, video = {}, encryption = null }) {
    super({ ...configuration, ...encryption?.configuration }, changed);
    this.#send = send;
    this.#video = video;
    this.#encryption = encryption;
  }

  /** Whether an offer waits for its answer. */
  get waiting() {
    return this.pc.signalingState === 'have-local-offer';
  }

  /** Publish what there is at the start, with one offer. */
  async begin(tracks) {
    for (const [source, track] of tracks) this.#add(source, track);
    await this.offer();
  }

  /** Publish a track as `source`; null pauses what was published. */
  async set(source, track) {
    const sender = this.#senders.get(source);
    if (!sender) {
      if (!track) return;
      this.#add(source, track);
      await this.offer();
      return;
    }
    await this.step(async () => {
      // a paused camera keeps its place: no new negotiation for somebody who mutes and speaks again
      await sender.replaceTrack(track);
      if (source !== 'camera' || !track) return;
      const parameters = sender.getParameters();
      if (fit(parameters, track.getSettings())) await sender.setParameters(parameters);
    });
  }

  /** Offer what is published now; while an offer waits for its answer: once more after it. */
  async offer() {
    if (this.#offering) {
      this.#offerAgain = true;
      return;
    }
    this.#offering = true;
    await this.step(async () => {
      await this.pc.setLocalDescription();
      if (this.closed) return;
      const sources = {};
      this.proposed = [];
      for (const [source, sender] of this.#senders) {
        const transceiver = this.pc.getTransceivers().find((each) => each.sender === sender);
        if (!transceiver?.mid) continue;
        sources[transceiver.mid] = source;
        if (!transceiver.currentDirection) this.proposed.push(source);
      }
      this.#offered = { sdp: this.pc.localDescription.toJSON(), sources };
      this.#send(this.#offered);
    });
  }

  /** Look for a way to the SFU anew (RFC 8445 section 9); media goes the old way until there is one. */
  async restart() {
    this.pc.restartIce();
    await this.offer();
  }

  /** Send an offer again that went nowhere, or whose answer did; one that is still being made will be sent. */
  repeat() {
    if (this.waiting && this.#offered) this.#send(this.#offered);
  }

  /** Take the SFU's answer; one that nobody waits for is none. */
  async answered(sdp) {
    if (!this.waiting) return;
    await this.step(async () => {
      await this.pc.setRemoteDescription(sdp);
      if (this.closed) return;
      this.#offering = false;
      this.#offered = null;
      if (!this.#offerAgain) return;
      this.#offerAgain = false;
      await this.offer();
    });
  }

  #add(source, track) {
    const { sender, kind } = this.#transceiver(source, track);
    this.#senders.set(source, sender);
    this.#encryption?.seal(sender, kind);
  }

  /** As many encodings as the browser takes: the full set, the set without frame rates, or one. */
  #transceiver(source, track) {
    const encodings = encodingsOf(source, track.getSettings(), this.#video.scalabilityMode);
    const plain = encodings.map(({ scalabilityMode, ...encoding }) => encoding);
    const single = [{ maxBitrate: encodings.at(-1).maxBitrate }];
    const attempts = source === 'microphone' ? [encodings] : [encodings, plain, single];
    let refusal;
    for (const sendEncodings of attempts) {
      try {
        const transceiver = this.pc.addTransceiver(track, {
          direction: 'sendonly',
          streams: [new MediaStream([track])],
          sendEncodings,
        });
        const order = codecOrder(track.kind, this.#video.codec, this.#encryption?.codecs);
        if (order) transceiver.setCodecPreferences(order);
        return { sender: transceiver.sender, kind: track.kind };
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }
}
