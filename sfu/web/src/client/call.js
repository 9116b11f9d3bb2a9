/**
 * One call: what is published, what is received, who is there. No framework; WebRTC and EventTarget only.
 *
 * Two connections (the client offers what it publishes, the SFU offers what can be watched), so offers never cross.
 *
 * Events: `change` (anything below changed), `chat` (a message), `muted` ({source}: somebody else switched that off),
 * `refused` ({source, message}: the server does not take that track; it is not published), `ended` ({reason, message}).
 */

import { Signaling } from './signaling.js';

/** RFC 6464 levels come as 0…1 here; below this a microphone hears a quiet room. */
const SPEAKING_LEVEL = 0.02;
/** A quarter of a short syllable: levels are those of the last packet only. */
const SPEAKING_POLL_MS = 50;
/** Kept a little after the last sound, so that the mark does not flicker between words. */
const SPEAKING_HOLD_MS = 600;
/** How long a media connection may stay broken before the room is joined anew. */
const BROKEN_MS = 6000;

/** What the room calls each source's state. */
const STATES = { microphone: 'audio_enabled', camera: 'video_enabled', screen: 'screen_sharing' };

const ENCODINGS = {
  camera: [{ maxBitrate: 1_500_000 }],
  screen: [{ maxBitrate: 2_500_000 }],
  microphone: [{}],
};

const remove = (list, item) => {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
};

export class Call extends EventTarget {
  #signaling;
  #publish = null;
  #subscribe = null;
  #senders = new Map();
  #local = new Map();
  #tracks = new Map();
  #offering = false;
  #offerAgain = false;
  #proposed = [];
  #unusable = false;
  #connected = false;
  #unechoed = [];
  #subscribing = Promise.resolve();
  #poll = null;
  #broken = null;
  #heard = new Map();
  #announced = [];

  /** user_id → {userId, username, avatarUrl, audio, video, screen, speaking, media: {camera, screen, microphone…}} */
  participants = new Map();
  /** `connecting`, `joined`, `lost` (coming back) or `ended`. */
  state = 'connecting';
  userId = null;
  /** Whether media found no way to the server when it was last tried; it is tried again and again. */
  blocked = false;
  /** Messages that may not have arrived: the connection was lost before they came back. `sendAgain` or `forget` one. */
  unsent = [];

  /**
   * @param {object} options as of `Signaling`, and:
   * @param {RTCIceServer[]} [options.iceServers]
   */
  constructor({ iceServers = [], signaling, ...options }) {
    super();
    this.iceServers = iceServers;
    this.#signaling = signaling ?? new Signaling(options);
    this.#signaling.addEventListener('joined', ({ detail }) => this.#joined(detail));
    this.#signaling.addEventListener('frame', ({ detail }) => this.#frame(detail));
    this.#signaling.addEventListener('lost', () => this.#lost());
    this.#signaling.addEventListener('ended', ({ detail }) => this.#ended(detail));
  }

  open() {
    this.#signaling.open();
  }

  leave() {
    this.#signaling.leave();
  }

  /** Write to everybody, oneself too; false where there is no connection to take it now. */
  chat(message) {
    if (!this.#signaling.send('chat', { message })) return false;
    this.#unechoed.push(message);
    return true;
  }

  /** Send one of `unsent` again; false as of `chat`. */
  sendAgain(message) {
    if (!this.chat(message)) return false;
    this.forget(message);
    return true;
  }

  /** Take one out of `unsent`. */
  forget(message) {
    remove(this.unsent, message);
    this.#changed();
  }

  /** The local track of a source (`microphone`, `camera`, `screen`), or null. */
  local(source) {
    return this.#local.get(source) ?? null;
  }

  /**
   * Publish a track as `source`, or stop publishing it with null. The caller owns the track and stops it.
   * @param {'microphone'|'camera'|'screen'} source
   * @param {MediaStreamTrack|null} track
   */
  async publish(source, track) {
    if (track) this.#local.set(source, track);
    else this.#local.delete(source);
    this.#announce();
    this.#changed();
    const sender = this.#senders.get(source);
    if (sender) {
      // a paused camera keeps its place: no new negotiation for somebody who mutes and speaks again
      await this.#step(this.#publish, () => sender.replaceTrack(track));
    } else if (track && this.#publish) {
      this.#add(source, track);
      await this.#offer();
    }
  }

  /** Mute or unmute a published track without giving the device back. */
  enable(source, enabled) {
    const track = this.#local.get(source);
    if (track) track.enabled = enabled;
    this.#announce();
    this.#changed();
  }

  /** Statistics of both connections, for tests and for the curious: {publish: RTCStats[], subscribe: RTCStats[]}. */
  async stats() {
    const list = async (pc) => (pc ? [...(await pc.getStats()).values()] : []);
    return { publish: await list(this.#publish), subscribe: await list(this.#subscribe) };
  }

  // ---------------------------------------------------------------- signaling

  #joined(frame) {
    this.userId = frame.user_id;
    this.#announced = [];
    const present = new Set(frame.participants.map((participant) => participant.user_id));
    for (const userId of this.participants.keys()) if (!present.has(userId)) this.participants.delete(userId);
    for (const participant of frame.participants) this.#met(participant.user_id, participant);
    if (!frame.resumed || !this.#publish) this.#connect(frame.ice_servers);
    else this.#offerLost();
    this.#set('joined');
    this.#announce();
  }

  #frame(frame) {
    const handler = {
      'user-joined': () => this.#met(frame.user_id, frame.user_info ?? {}),
      'user-left': () => this.participants.delete(frame.user_id),
      'media-state': () => (frame.user_id === this.userId ? this.#echoed(frame) : this.#state(frame)),
      chat: () => this.#said(frame),
      offer: () => this.#watched(frame),
      answer: () => this.#answered(frame),
      error: () => this.#refused(frame),
    }[frame.type];
    if (!handler) return;
    handler();
    this.#changed();
  }

  #met(userId, { username, avatar_url: avatarUrl, media_state: state }) {
    if (userId === this.userId) return;
    const known = this.participants.get(userId);
    const person = known ?? { userId, media: {}, speaking: false, audio: false, video: false, screen: false };
    person.username = username || known?.username || 'Guest';
    person.avatarUrl = avatarUrl ?? known?.avatarUrl ?? null;
    this.participants.set(userId, person);
    if (state) this.#state({ user_id: userId, ...state });
    this.#attach();
  }

  #state({ user_id: userId, audio_enabled: audio, video_enabled: video, screen_sharing: screen }) {
    const person = this.participants.get(userId);
    if (person) Object.assign(person, { audio, video, screen });
  }

  #said({ user_id: userId, username, message: text, message_id: id, timestamp: at }) {
    const own = userId === this.userId;
    if (own && !remove(this.#unechoed, text)) remove(this.unsent, text);
    const name = own ? 'You' : (this.participants.get(userId)?.username ?? username ?? 'Somebody');
    this.dispatchEvent(new CustomEvent('chat', { detail: { id, userId, own, name, text, at } }));
  }

  #refused({ request_type: type, message }) {
    if (type === 'offer') this.#offerRefused(message);
    if (type === 'chat' && this.#unechoed.length) this.unsent.push(this.#unechoed.shift());
  }

  #lost() {
    this.unsent.push(...this.#unechoed.splice(0));
    this.#set('lost');
  }

  #announce() {
    const on = (source) => Boolean(this.#local.get(source)?.enabled);
    const state = Object.fromEntries(Object.entries(STATES).map(([source, name]) => [name, on(source)]));
    if (this.#signaling.send('media-state', state)) this.#announced.push(JSON.stringify(state));
  }

  /** Our own state comes back to us. One that we did not announce is somebody else's doing: they muted us. */
  #echoed(frame) {
    const state = Object.fromEntries(Object.values(STATES).map((name) => [name, frame[name]]));
    if (this.#announced[0] === JSON.stringify(state)) {
      this.#announced.shift();
      return;
    }
    for (const [source, name] of Object.entries(STATES)) {
      const track = this.#local.get(source);
      if (frame[name] || !track?.enabled) continue;
      track.enabled = false;
      this.dispatchEvent(new CustomEvent('muted', { detail: { source } }));
    }
  }

  #ended(detail) {
    this.#disconnect();
    this.state = 'ended';
    this.participants.clear();
    this.dispatchEvent(new CustomEvent('ended', { detail }));
    this.#changed();
  }

  // ---------------------------------------------------------------- media

  #connect(iceServers) {
    this.#disconnect();
    if (iceServers) this.iceServers = iceServers;
    this.#publish = this.#connection();
    this.#subscribe = this.#connection();
    this.#subscribe.ontrack = ({ transceiver, track }) => this.#received(transceiver, track);
    for (const [source, track] of this.#local) this.#add(source, track);
    if (this.#local.size) this.#offer();
    this.#poll = setInterval(() => this.#listenForSpeakers(), SPEAKING_POLL_MS);
  }

  #disconnect() {
    clearInterval(this.#poll);
    clearTimeout(this.#broken);
    this.#broken = null;
    this.#publish?.close();
    this.#subscribe?.close();
    this.#publish = this.#subscribe = null;
    this.#senders.clear();
    this.#tracks.clear();
    this.#heard.clear();
    this.#offering = this.#offerAgain = this.#unusable = this.#connected = false;
    this.#subscribing = Promise.resolve();
    for (const person of this.participants.values()) person.media = {};
  }

  #connection() {
    const pc = new RTCPeerConnection({ iceServers: this.iceServers, bundlePolicy: 'max-bundle' });
    pc.onconnectionstatechange = () => this.#watchConnection(pc);
    return pc;
  }

  /** A connection that failed is not mended piecemeal: joining anew gives two fresh ones. */
  #watchConnection(pc) {
    if (pc !== this.#publish && pc !== this.#subscribe) return;
    if (pc.connectionState === 'connected') {
      this.#connected = true;
      this.blocked = false;
      this.#changed();
    }
    const broken =
      this.#unusable ||
      [this.#publish, this.#subscribe].some(({ connectionState }) => ['disconnected', 'failed'].includes(connectionState));
    if (!broken) {
      clearTimeout(this.#broken);
      this.#broken = null;
    } else {
      this.#broken ??= setTimeout(() => {
        this.#broken = null;
        this.blocked ||= !this.#connected;
        if (this.state === 'joined') this.#signaling.rejoin();
        else this.#watchConnection(pc);
      }, BROKEN_MS);
    }
  }

  /** A step on a connection. Where it fails, the connection is of no use any more; a closed one is nobody's concern. */
  async #step(pc, work) {
    try {
      await work();
    } catch {
      if (pc !== this.#publish && pc !== this.#subscribe) return;
      this.#unusable = true;
      this.#watchConnection(pc);
    }
  }

  #add(source, track) {
    const stream = new MediaStream([track]);
    const { sender } = this.#publish.addTransceiver(track, {
      direction: 'sendonly',
      streams: [stream],
      sendEncodings: ENCODINGS[source],
    });
    this.#senders.set(source, sender);
  }

  async #offer() {
    if (this.#offering) {
      this.#offerAgain = true;
      return;
    }
    this.#offering = true;
    const pc = this.#publish;
    await this.#step(pc, async () => {
      await pc.setLocalDescription();
      if (pc !== this.#publish) return;
      const sources = {};
      this.#proposed = [];
      for (const [source, sender] of this.#senders) {
        const transceiver = pc.getTransceivers().find((each) => each.sender === sender);
        if (!transceiver?.mid) continue;
        sources[transceiver.mid] = source;
        if (!transceiver.currentDirection) this.#proposed.push(source);
      }
      const sdp = pc.localDescription.toJSON();
      this.#signaling.send('offer', { pc: 'publish', target_user_id: 'sfu', sdp, sources });
    });
  }

  /** An offer whose answer went down with the socket is made again; one that is still being made will be sent. */
  #offerLost() {
    if (this.#publish.signalingState !== 'have-local-offer') return;
    this.#offering = false;
    this.#offer();
  }

  #answered({ pc: which, from_user_id: from, sdp }) {
    const pc = this.#publish;
    if (from !== 'sfu' || which !== 'publish' || pc?.signalingState !== 'have-local-offer') return;
    this.#step(pc, async () => {
      await pc.setRemoteDescription(sdp);
      if (pc === this.#publish) this.#offered();
    });
  }

  /** The server does not take an offer: what it would have added is given up, the rest is offered anew. */
  #offerRefused(message) {
    if (this.#publish?.signalingState !== 'have-local-offer') return;
    for (const source of this.#proposed) {
      this.#local.delete(source);
      this.dispatchEvent(new CustomEvent('refused', { detail: { source, message } }));
    }
    // not a rollback: Chromium mixes up the transceivers that were never negotiated
    this.#signaling.rejoin();
  }

  #offered() {
    this.#offering = false;
    if (!this.#offerAgain) return;
    this.#offerAgain = false;
    this.#offer();
  }

  #watched({ from_user_id: from, sdp, tracks = [] }) {
    if (from !== 'sfu') return;
    const pc = this.#subscribe;
    const watch = async () => {
      if (pc !== this.#subscribe) return;
      this.#tracks = new Map(tracks.map((track) => [track.mid, track]));
      await pc.setRemoteDescription(sdp);
      await pc.setLocalDescription();
      if (pc !== this.#subscribe) return;
      this.#signaling.send('answer', { pc: 'subscribe', target_user_id: 'sfu', sdp: pc.localDescription.toJSON() });
      this.#attach();
      this.#changed();
    };
    // one after the other: an offer that arrives while the last is being answered waits for it
    this.#subscribing = this.#subscribing.then(() => this.#step(pc, watch));
  }

  #received(transceiver, track) {
    track.onunmute = track.onmute = () => this.#changed();
    this.#attach();
    this.#changed();
  }

  /** Give every participant the tracks that are theirs now. */
  #attach() {
    if (!this.#subscribe) return;
    const media = new Map();
    for (const transceiver of this.#subscribe.getTransceivers()) {
      const info = this.#tracks.get(transceiver.mid);
      if (!info) continue;
      const theirs = media.get(info.user_id) ?? {};
      theirs[info.source] = transceiver.receiver.track;
      media.set(info.user_id, theirs);
    }
    for (const person of this.participants.values()) person.media = media.get(person.userId) ?? {};
  }

  #listenForSpeakers() {
    const now = performance.now();
    for (const receiver of this.#subscribe.getReceivers()) {
      if (receiver.track.kind !== 'audio') continue;
      const level = Math.max(0, ...receiver.getSynchronizationSources().map((source) => source.audioLevel ?? 0));
      if (level > SPEAKING_LEVEL) this.#heard.set(receiver.track.id, now);
    }
    let changed = false;
    for (const person of this.participants.values()) {
      const heard = this.#heard.get(person.media.microphone?.id) ?? -Infinity;
      const speaking = now - heard < SPEAKING_HOLD_MS;
      changed ||= speaking !== person.speaking;
      person.speaking = speaking;
    }
    if (changed) this.#changed();
  }

  #set(state) {
    this.state = state;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new CustomEvent('change'));
  }
}
