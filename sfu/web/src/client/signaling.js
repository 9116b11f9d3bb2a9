/**
 * The WebSocket half of the client: joins one room, stays in it across lost sockets, carries frames.
 *
 * Events: `joined` (the server's frame), `frame` (every other frame of the room), `lost` (the socket is gone, a new one
 * is being tried), `ended` ({reason, message}: nothing more will come).
 *
 * No framework, no DOM beyond WebSocket and EventTarget; both the socket and the timers can be given.
 */

const BACKOFF_MS = [250, 500, 1000, 2000, 4000];
/** The server pings every 30 s and gives up after 90 s; so does this side, in case the network went away silently. */
const SILENCE_MS = 75_000;

/** Close codes that end the call: the reason, where no `kicked` said one. */
const ENDED = { 4401: 'unauthorized', 4409: 'replaced', 4410: 'meeting-ended' };
const MESSAGES = {
  left: 'You left the meeting.',
  unauthorized: 'Your sign-in is no longer valid.',
  replaced: 'You joined this meeting from another window or device.',
  removed: 'You were removed from the meeting.',
  'no-passphrase': 'This meeting is end-to-end encrypted: its passphrase is needed.',
};
const MEETING_OVER = 'The meeting has ended.';
/** After these the server closes, and its close code says whether to come again. */
const CLOSING_ERRORS = new Set(['UNAUTHORIZED', 'SERVICE_UNAVAILABLE', 'RATE_LIMIT_EXCEEDED']);

export class Signaling extends EventTarget {
  #socket = null;
  #session = null;
  #attempt = 0;
  #timer = null;
  #silence = null;
  #state = 'new';
  #kicked = null;

  /**
   * @param {object} options
   * @param {string} options.url the `signaling_url` that joining by REST answered
   * @param {string} options.roomId any spelling of the meeting's id
   * @param {() => Promise<string>} options.ticket gives a fresh token or ticket for each connection
   * @param {object} [options.userInfo] shown to the others: {username, avatar_url}
   * @param {typeof WebSocket} [options.WebSocket]
   */
  constructor({ url, roomId, ticket, userInfo = {}, WebSocket: Socket = globalThis.WebSocket }) {
    super();
    this.url = url;
    this.roomId = roomId;
    this.ticket = ticket;
    this.userInfo = userInfo;
    this.Socket = Socket;
  }

  /** `new`, `connecting`, `joined` or `ended`. */
  get state() {
    return this.#state;
  }

  open() {
    if (this.#state === 'new') this.#connect();
  }

  /** Send a frame of this room. Answers false where there is no joined socket to take it. */
  send(type, fields = {}) {
    if (this.#state !== 'joined') return false;
    return this.#write({ type, room_id: this.roomId, ...fields });
  }

  /** Join as a new session on the open socket: the media connections of the old one are gone. */
  rejoin() {
    this.#session = null;
    if (this.#state !== 'joined') return;
    // nothing is sent before `joined`: an offer of the old connections would be answered on the new ones
    this.#state = 'connecting';
    this.#emit('lost');
    this.#enter();
  }

  /** Leave the room and close; the server answers `left`. The reason is that of `ended`. */
  leave(reason = 'left') {
    this.#write({ type: 'leave', room_id: this.roomId });
    this.#end(reason);
  }

  async #connect() {
    this.#state = 'connecting';
    let token;
    try {
      token = await this.ticket();
    } catch (error) {
      if (error.status === 401) this.#end('unauthorized');
      else this.#retry((error.retryAfter ?? 0) * 1000);
      return;
    }
    if (this.#state === 'ended') return;
    const room = encodeURIComponent(this.roomId);
    const socket = new this.Socket(`${this.url}?token=${encodeURIComponent(token)}&room=${room}`);
    this.#socket = socket;
    this.#listen();
    socket.onopen = () => this.#enter();
    socket.onmessage = ({ data }) => this.#receive(socket, JSON.parse(data));
    socket.onclose = ({ code }) => this.#closed(socket, code);
  }

  #enter() {
    const room = { room_id: this.roomId };
    if (this.#session) this.#write({ type: 'resume', ...room, session_id: this.#session });
    else this.#write({ type: 'join', ...room, user_info: this.userInfo });
  }

  #receive(socket, frame) {
    if (socket !== this.#socket) return;
    this.#listen();
    if (frame.type === 'ping') {
      this.#write({ type: 'pong' });
    } else if (frame.type === 'joined') {
      this.#session = frame.session_id;
      this.#attempt = 0;
      this.#state = 'joined';
      this.#emit('joined', frame);
    } else if (frame.type === 'kicked') {
      this.#kicked = frame.reason;
    } else if (frame.type === 'error' && this.#state !== 'joined' && !this.#isLate(frame)) {
      this.#refused(frame);
    } else {
      this.#emit('frame', frame);
    }
  }

  /** Whether an error answers what was sent before a rejoin. */
  #isLate({ request_type: type }) {
    return type !== undefined && type !== 'join' && type !== 'resume';
  }

  #refused(frame) {
    if (frame.code === 'SESSION_NOT_FOUND') {
      this.#session = null;
      this.#enter();
    } else if (!CLOSING_ERRORS.has(frame.code)) {
      this.#end(frame.code, frame.message);
    }
  }

  #closed(socket, code) {
    if (socket !== this.#socket || this.#state === 'ended') return;
    this.#socket = null;
    const reason = this.#kicked ?? ENDED[code];
    if (reason) this.#end(reason);
    else this.#retry(0);
  }

  #retry(atLeastMs) {
    if (this.#state === 'ended') return;
    clearTimeout(this.#silence);
    this.#state = 'connecting';
    this.#emit('lost');
    const base = BACKOFF_MS[Math.min(this.#attempt++, BACKOFF_MS.length - 1)];
    // half of the wait is random, so that a room whose server restarted does not come back in one instant
    this.#timer = setTimeout(() => this.#connect(), Math.max(atLeastMs, base * (0.5 + Math.random() / 2)));
  }

  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      const silent = this.#socket;
      this.#socket = null;
      silent?.close();
      this.#retry(0);
    }, SILENCE_MS);
  }

  #write(frame) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #end(reason, message = MESSAGES[reason] ?? MEETING_OVER) {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#socket?.close(1000);
    this.#socket = null;
    this.#emit('ended', { reason, message });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
