import { CODECS } from './frames.js';

const SCRIPTED = typeof RTCRtpScriptTransform === 'function';
const PASSPHRASE_BYTES = 16;

/** Whether this browser lets a page encrypt frames: by WebRTC Encoded Transform, or by Chromium's older way to it. */
export function supportsEncryption() {
  return SCRIPTED || 'createEncodedStreams' in RTCRtpSender.prototype;
}

/** A passphrase that nobody can guess, made of what an address may hold. */
export function newPassphrase() {
  const bytes = crypto.getRandomValues(new Uint8Array(PASSPHRASE_BYTES));
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/**
 * End-to-end encryption of a call (SFrame, RFC 9605), in a worker. `keys.js` says what keys come from, `frames.js` what
 * stays readable. What it does not do: tell who is who. Everybody with the passphrase is trusted, and it is the server
 * that says whose track is whose.
 *
 * Event: `state` ({trackId, userId, source, sealed}: whether a track that is received cannot be decrypted).
 */
export class Encryption extends EventTarget {
  #worker;
  #opened = new WeakSet();

  /** What a connection of this call is made with, beside the rest. */
  configuration = SCRIPTED ? {} : { encodedInsertableStreams: true };
  /** The video codecs that may be sent. */
  codecs = CODECS;

  /** @param {{passphrase: string, meetingId: string}} options the meeting's id in the one spelling that all use */
  constructor({ passphrase, meetingId }) {
    super();
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    this.#worker.onmessage = ({ data }) => this.dispatchEvent(new CustomEvent('state', { detail: data }));
    this.#worker.postMessage({ type: 'secret', passphrase, meetingId });
  }

  /** Who encrypts here from now on. */
  begin(userId) {
    this.#worker.postMessage({ type: 'begin', userId });
  }

  /** Encrypt all that a sender sends. @param {'audio'|'video'} kind */
  seal(sender, kind) {
    this.#transform(sender, { kind });
  }

  /** Decrypt all that comes over a transceiver, whoever's it is; a transceiver that serves again is set up already. */
  open({ mid, receiver }) {
    if (this.#opened.has(receiver)) return;
    this.#opened.add(receiver);
    this.#transform(receiver, { mid });
  }

  /** Whose track is on which mid. @param {{mid, track_id, user_id, source}[]} tracks */
  owners(tracks) {
    this.#worker.postMessage({ type: 'owners', tracks });
  }

  close() {
    this.#worker.terminate();
  }

  #transform(end, options) {
    if (SCRIPTED) {
      end.transform = new RTCRtpScriptTransform(this.#worker, options);
      return;
    }
    const { readable, writable } = end.createEncodedStreams();
    this.#worker.postMessage({ type: 'streams', options, readable, writable }, [readable, writable]);
  }
}
