/**
 * One call: what is published, what is received, who is there. No framework; WebRTC and EventTarget only.
 *
 * Two connections (the client offers what it publishes, the SFU offers what can be watched), so offers never cross.
 *
 * Events: `change` (anything below changed), `chat` (a message), `muted` ({source}: somebody else switched that off),
 * `refused` ({source, message}: the server does not take that track; it is not published), `layers` ({userId, source,
 * current, target}: what the server sends of a video), `active-speaker` ({userId}: who leads the talk, or null),
 * `measured` (`quality` of everybody is another), `ended` ({reason, message}).
 */

import { Data } from './data.js';
import { Encryption } from './e2ee/encryption.js';
import { LEVELS_MS, Levels } from './levels.js';
import { Publisher } from './publisher.js';
import { MEASURE_MS, Quality } from './quality.js';
import { Signaling } from './signaling.js';
import { Subscriber } from './subscriber.js';
import { Views } from './views.js';

/** How long a media connection may stay broken before the room is joined anew. */
const BROKEN_MS = 6000;

/** What the room calls each source's state. */
const STATES = { microphone: 'audio_enabled', camera: 'video_enabled', screen: 'screen_sharing' };

const remove = (list, item) => {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
};

const nothingReceived = () => ({ media: {}, layers: {}, quality: {}, sealed: {} });
const keyOf = (userId, source) => `${userId}/${source}`;

export class Call extends EventTarget {
  #signaling;
  #video;
  #encryption = null;
  #publisher = null;
  #subscriber = null;
  #local = new Map();
  /** track_id → {userId, source}: all that can be received, received or not. */
  #published = new Map();
  #views = new Views((trackId, view) => this.#signaling.send('subscribe', { track_id: trackId, ...view }));
  #quality = new Quality();
  #connected = false;
  #prepared = false;
  #unechoed = [];
  #timers = [];
  #broken = null;
  #levels = new Levels();
  #announced = [];

  /**
   * user_id → {userId, username, avatarUrl, audio, video, screen, speaking, and by source (`camera`, `screen`,
   * `microphone`…): `media`, the tracks; `layers`, {current, target}, what is sent of a video; `quality`, what was
   * measured of a track; `sealed`, true where this side cannot decrypt it}.
   */
  participants = new Map();
  /** `connecting`, `joined`, `lost` (coming back) or `ended`. */
  state = 'connecting';
  userId = null;
  /** Who leads the talk, by the server; null: nobody. */
  activeSpeaker = null;
  /** Whether media found no way to the server when it was last tried; it is tried again and again. */
  blocked = false;
  /** recording_id → {recordingId, startedBy, paused}: what is said and shown is being kept. */
  recordings = new Map();
  /** stream_id → {streamId, startedBy}: the world sees and hears this. */
  streams = new Map();
  /** What is told to everybody else now, beside sound and picture: see `Data`. */
  data = new Data();
  /** Messages that may not have arrived: the connection was lost before they came back. `sendAgain` or `forget` one. */
  unsent = [];

  /**
   * @param {object} options as of `Signaling`, and:
   * @param {RTCIceServer[]} [options.iceServers]
   * @param {{codec?: string, scalabilityMode?: string}} [options.video] how cameras are encoded, where it matters: a
   *   codec to prefer (`vp8`, `vp9`, `h264`, `av1`), and one stream with layers inside (`L3T3_KEY`) for simulcast
   * @param {{passphrase: string, meetingId: string}|null} [options.encryption] encrypt end to end with what everybody
   *   in the meeting knows and the server does not; a meeting that requires it ends the call of who has none
   */
  constructor({ iceServers = [], signaling, video = {}, encryption = null, ...options }) {
    super();
    this.iceServers = iceServers;
    this.#video = video;
    if (encryption) this.#encrypt(encryption);
    this.#signaling = signaling ?? new Signaling(options);
    this.#signaling.addEventListener('joined', ({ detail }) => this.#joined(detail));
    this.#signaling.addEventListener('frame', ({ detail }) => this.#frame(detail));
    this.#signaling.addEventListener('lost', () => this.#lost());
    this.#signaling.addEventListener('ended', ({ detail }) => this.#ended(detail));
  }

  /** Whether all that is sent is encrypted end to end. */
  get encrypted() {
    return this.#encryption !== null;
  }

  /** `good` or `poor`: one's own way to the server. */
  get link() {
    return this.#quality.link;
  }

  open() {
    this.#signaling.open();
    // A browser takes 100 ms for two connections and an offer, as long as the server takes to let somebody in: while
    // the socket opens there is time for that.
    if (this.iceServers.length && !this.#encryption) setTimeout(() => this.#prepare());
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
    await this.#publisher?.set(source, track);
  }

  /** Mute or unmute a published track without giving the device back. */
  enable(source, enabled) {
    const track = this.#local.get(source);
    if (track) track.enabled = enabled;
    this.#announce();
    this.#changed();
  }

  /**
   * Say how large somebody's video is looked at: nothing is sent of what is not visible, no more than fits of what is.
   * Told when it has settled, for as long as that video is received.
   * @param {{visible: boolean, width?: number, height?: number}|null} view in device pixels; null: not looked at
   */
  view(userId, source, view) {
    this.#views.set(keyOf(userId, source), view);
  }

  /** Receive somebody's track for certain, also where there are more than the server gives unasked; false: no such track. */
  subscribe(userId, source) {
    this.#views.again(keyOf(userId, source));
    return this.#ask('subscribe', userId, source);
  }

  /** Do not receive somebody's track, until `subscribe`. */
  unsubscribe(userId, source) {
    return this.#ask('unsubscribe', userId, source);
  }

  /** Receive no layer of somebody's video above these, counted from 0; null: no bound. */
  setLayer(userId, source, { spatial = null, temporal = null } = {}) {
    return this.#ask('set-layer', userId, source, { spatial, temporal });
  }

  /** Look for a way to the server anew, both for what is sent and (the SFU then offers it) for what is received. */
  restart() {
    if (this.state === 'joined') this.#publisher.restart();
  }

  /** Statistics of both connections, for tests and for the curious: {publish: RTCStats[], subscribe: RTCStats[]}. */
  async stats() {
    const list = async (connection) => (connection ? [...(await connection.pc.getStats()).values()] : []);
    return { publish: await list(this.#publisher), subscribe: await list(this.#subscriber) };
  }

  // ---------------------------------------------------------------- signaling

  #joined(frame) {
    this.userId = frame.user_id;
    this.#announced = [];
    if (frame.e2ee && !this.#encryption) {
      this.#signaling.leave('no-passphrase');
      return;
    }
    const present = new Set(frame.participants.map((participant) => participant.user_id));
    for (const userId of this.participants.keys()) if (!present.has(userId)) this.participants.delete(userId);
    for (const participant of frame.participants) this.#met(participant.user_id, participant);
    this.#published.clear();
    for (const track of frame.tracks ?? []) this.#trackPublished(track);
    this.activeSpeaker = frame.active_speaker?.user_id ?? null;
    this.recordings.clear();
    for (const recording of frame.recordings ?? []) this.#recorded(recording, recording.paused);
    this.streams.clear();
    for (const stream of frame.streams ?? []) this.#streamed(stream);
    if (this.#prepared || (frame.resumed && this.#publisher)) this.#publisher.repeat();
    else this.#connect(frame.ice_servers);
    this.#prepared = false;
    this.#set('joined');
    this.#announce();
  }

  #frame(frame) {
    const handler = {
      'user-joined': () => this.#met(frame.user_id, frame.user_info ?? {}),
      'user-left': () => this.participants.delete(frame.user_id),
      'media-state': () => (frame.user_id === this.userId ? this.#echoed(frame) : this.#state(frame)),
      'track-published': () => this.#trackPublished(frame),
      'track-unpublished': () => this.#trackUnpublished(frame),
      'active-speaker': () => this.#leads(frame.user_id ?? null),
      layers: () => this.#layers(frame),
      'recording-started': () => this.#recorded(frame, false),
      'recording-paused': () => this.#recorded(frame, true),
      'recording-resumed': () => this.#recorded(frame, false),
      'recording-stopped': () => this.recordings.delete(frame.recording_id),
      'streaming-started': () => this.#streamed(frame),
      'streaming-stopped': () => this.streams.delete(frame.stream_id),
      chat: () => this.#said(frame),
      offer: () => frame.from_user_id === 'sfu' && this.#subscriber?.offered(frame.sdp, frame.tracks ?? []),
      answer: () => frame.from_user_id === 'sfu' && frame.pc === 'publish' && this.#answered(frame.sdp),
      error: () => this.#refused(frame),
    }[frame.type];
    if (!handler) return;
    handler();
    this.#changed();
  }

  #met(userId, { username, avatar_url: avatarUrl, media_state: state }) {
    if (userId === this.userId) return;
    const known = this.participants.get(userId);
    const person = known ?? { userId, speaking: false, audio: false, video: false, screen: false };
    if (!known) Object.assign(person, nothingReceived());
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

  #recorded({ recording_id: recordingId, started_by: startedBy }, paused) {
    this.recordings.set(recordingId, { recordingId, startedBy, paused });
  }

  #streamed({ stream_id: streamId, started_by: startedBy }) {
    this.streams.set(streamId, { streamId, startedBy });
  }

  #trackPublished({ track_id: trackId, user_id: userId, source }) {
    this.#published.set(trackId, { userId, source });
  }

  #trackUnpublished({ track_id: trackId, user_id: userId, source }) {
    this.#published.delete(trackId);
    this.#views.hide(keyOf(userId, source), false);
    const person = this.participants.get(userId);
    if (!person) return;
    delete person.layers[source];
    delete person.sealed[source];
  }

  #leads(userId) {
    this.activeSpeaker = userId;
    this.dispatchEvent(new CustomEvent('active-speaker', { detail: { userId } }));
  }

  #layers({ track_id: trackId, current, target }) {
    const { userId, source } = this.#published.get(trackId) ?? {};
    const person = this.participants.get(userId);
    if (!person) return;
    person.layers[source] = { current, target };
    this.dispatchEvent(new CustomEvent('layers', { detail: { userId, source, current, target } }));
  }

  #ask(type, userId, source, fields = {}) {
    for (const [trackId, track] of this.#published)
      if (track.userId === userId && track.source === source)
        return this.#signaling.send(type, { track_id: trackId, ...fields });
    return false;
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

  /** To see and hear the others comes first: encoders that start would hold that up. */
  async #answered(sdp) {
    const publisher = this.#publisher;
    await this.#subscriber?.settled;
    publisher?.answered(sdp);
  }

  /** The server does not take an offer: what it would have added is given up, the rest is offered anew. */
  #offerRefused(message) {
    if (!this.#publisher?.waiting) return;
    for (const source of this.#publisher.proposed) {
      this.#local.delete(source);
      this.dispatchEvent(new CustomEvent('refused', { detail: { source, message } }));
    }
    // not a rollback: Chromium mixes up the transceivers that were never negotiated
    this.#signaling.rejoin();
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
    this.#views.close();
    this.#encryption?.close();
    this.state = 'ended';
    this.participants.clear();
    this.dispatchEvent(new CustomEvent('ended', { detail }));
    this.#changed();
  }

  // ---------------------------------------------------------------- media

  #encrypt(encryption) {
    this.#encryption = new Encryption(encryption);
    this.#encryption.addEventListener('state', ({ detail: { userId, source, sealed } }) => {
      const person = this.participants.get(userId);
      if (person) person.sealed[source] = sealed;
      // a decoder that never gets a picture would ask the sender for key frames without end
      this.#views.hide(keyOf(userId, source), sealed);
      this.#changed();
    });
  }

  #prepare() {
    if (this.state !== 'connecting' || this.#publisher) return;
    this.#connect();
    this.#prepared = true;
  }

  #connect(iceServers) {
    this.#disconnect();
    if (iceServers) this.iceServers = iceServers;
    const shared = {
      configuration: { iceServers: this.iceServers },
      changed: () => this.#watchConnections(),
      encryption: this.#encryption,
    };
    this.#encryption?.begin(this.userId);
    const send = (type, pc) => (fields) => this.#signaling.send(type, { pc, target_user_id: 'sfu', ...fields });
    this.#publisher = new Publisher({ ...shared, video: this.#video, send: send('offer', 'publish') });
    const received = () => {
      this.#attach();
      this.#changed();
    };
    this.#subscriber = new Subscriber({ ...shared, received, send: send('answer', 'subscribe') });
    this.data.attach(this.#publisher.pc);
    this.#publisher.begin(this.#local);
    this.#timers = [
      setInterval(() => this.#listenForSpeakers(), LEVELS_MS),
      setInterval(() => this.#measure(), MEASURE_MS),
    ];
  }

  #disconnect() {
    this.#timers.forEach(clearInterval);
    clearTimeout(this.#broken);
    this.#broken = null;
    this.#publisher?.close();
    this.#subscriber?.close();
    this.#publisher = this.#subscriber = null;
    this.#connected = false;
    this.#views.forget();
    for (const person of this.participants.values()) Object.assign(person, nothingReceived());
  }

  /** A connection that broke looks for another way; where it finds none in time, joining anew gives two fresh ones. */
  #watchConnections() {
    const both = [this.#publisher, this.#subscriber];
    if (both.some((connection) => connection?.connected)) {
      this.#connected = true;
      this.blocked = false;
      this.#changed();
    }
    if (!both.some((connection) => connection?.broken)) {
      clearTimeout(this.#broken);
      this.#broken = null;
    } else if (this.#broken === null) {
      if (this.#connected) this.restart();
      this.#broken = setTimeout(() => {
        this.#broken = null;
        this.blocked ||= !this.#connected;
        if (this.state === 'joined') this.#signaling.rejoin();
        else this.#watchConnections();
      }, BROKEN_MS);
    }
  }

  /** Give every participant the tracks that are theirs now. */
  #attach() {
    if (!this.#subscriber) return;
    const everybody = new Map();
    const videos = new Map();
    for (const { trackId, userId, source, receiver } of this.#subscriber.media) {
      const theirs = everybody.get(userId) ?? {};
      theirs[source] = receiver.track;
      everybody.set(userId, theirs);
      if (receiver.track.kind === 'video') videos.set(keyOf(userId, source), trackId);
    }
    for (const person of this.participants.values()) person.media = everybody.get(person.userId) ?? {};
    this.#views.received(videos);
  }

  #listenForSpeakers() {
    const heard = this.#levels.read(this.#subscriber.media);
    let changed = false;
    for (const person of this.participants.values()) {
      const speaking = heard.has(person.userId);
      changed ||= speaking !== person.speaking;
      person.speaking = speaking;
    }
    if (changed) this.#changed();
  }

  async #measure() {
    const subscriber = this.#subscriber;
    const { publish, subscribe } = await this.stats();
    if (subscriber !== this.#subscriber) return;
    const before = this.link;
    const measured = this.#quality.read(publish, subscribe);
    for (const person of this.participants.values()) {
      const known = Object.entries(person.media).map(([source, track]) => [source, measured.get(track.id)]);
      person.quality = Object.fromEntries(known.filter(([, quality]) => quality));
    }
    this.dispatchEvent(new CustomEvent('measured'));
    if (this.link !== before) this.#changed();
  }

  #set(state) {
    this.state = state;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new CustomEvent('change'));
  }
}
