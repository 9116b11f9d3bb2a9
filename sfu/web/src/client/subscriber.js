import { Connection } from './connection.js';

/** The connection that receives: the SFU offers, this side answers, one offer after the other. */
export class Subscriber extends Connection {
  #send;
  #encryption;
  #received;
  #tracks = new Map();

  /** Resolved when every offer so far is answered. */
  settled = Promise.resolve();

  /**
   * @param {object} options
   * @param {RTCConfiguration} options.configuration
   * @param {() => void} options.changed as of `Connection`
   * @param {(answer: {sdp: RTCSessionDescriptionInit}) => void} options.send
   * @param {() => void} options.received called when `media` is another
   * @param {import('./e2ee/encryption.js').Encryption|null} [options.encryption]
   */
  constructor({ configuration, changed, send, received, encryption = null }) {
    super({ ...configuration, ...encryption?.configuration }, changed);
    this.#send = send;
    this.#received = received;
    this.#encryption = encryption;
    this.pc.ontrack = ({ transceiver, track }) => {
      encryption?.open(transceiver);
      track.onunmute = track.onmute = received;
      received();
    };
  }

  /** What is received now. @returns {{trackId: string, userId: string, source: string, receiver: RTCRtpReceiver}[]} */
  get media() {
    return this.pc.getTransceivers().flatMap(({ mid, receiver }) => {
      const track = this.#tracks.get(mid);
      if (!track) return [];
      return [{ trackId: track.track_id, userId: track.user_id, source: track.source, receiver }];
    });
  }

  /** Answer an offer of the SFU, after those that came before it. `tracks` are all that it has: mid, track_id… */
  offered(sdp, tracks) {
    const answer = async () => {
      if (this.closed) return;
      this.#tracks = new Map(tracks.map((track) => [track.mid, track]));
      this.#encryption?.owners(tracks);
      await this.pc.setRemoteDescription(sdp);
      await this.pc.setLocalDescription();
      if (this.closed) return;
      this.#send({ sdp: this.pc.localDescription.toJSON() });
      this.#received();
    };
    this.settled = this.settled.then(() => this.step(answer));
  }
}
