/**
 * The REST half of the client: accounts and meetings. No framework, no DOM; give it a `fetch`.
 *
 * The access token lives in memory. The refresh token is a cookie that scripts cannot read; renewing with it needs
 * a CSRF token (signed double submit), which `renew` fetches.
 */

/** An error answer of the API, or of the network (`code` is then `NETWORK`). */
export class ApiError extends Error {
  /** @param {{code: string, message: string, status?: number, details?: unknown, retryAfter?: number}} problem */
  constructor({ code, message, status = 0, details = null, retryAfter = 0 }) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.status = status;
    this.details = details;
    /** Seconds to wait before trying again; 0 where the server did not say. */
    this.retryAfter = retryAfter;
  }
}

/** Event: `expired` (the server does not renew the sign-in any more; whoever calls gets the 401 as well). */
export class Api extends EventTarget {
  #token = null;
  #renewing = null;

  /** @param {{baseUrl?: string, fetch?: typeof fetch}} [options] */
  constructor({ baseUrl = '', fetch: fetcher = globalThis.fetch.bind(globalThis) } = {}) {
    super();
    this.baseUrl = baseUrl;
    this.fetch = fetcher;
  }

  get signedIn() {
    return this.#token !== null;
  }

  register(username, email, password) {
    return this.#send('POST', '/auth/register', { username, email, password });
  }

  async login(username, password) {
    const answer = await this.#send('POST', '/auth/login', { username, password });
    this.#token = answer.access_token;
    return this.me();
  }

  /** Sign in again with the cookie of an earlier visit; rejects with a 401 where there is none. */
  async renew() {
    // one at a time in all tabs: a refresh token that is used twice ends the sign-in (it may have been stolen)
    const alone = globalThis.navigator?.locks;
    const renew = () => this.#renewOnce();
    this.#renewing ??= (alone ? alone.request('meet-renew', renew) : renew())
      .catch((error) => {
        if (error.status === 401) this.dispatchEvent(new CustomEvent('expired'));
        throw error;
      })
      .finally(() => {
        this.#renewing = null;
      });
    return this.#renewing;
  }

  async logout() {
    try {
      await this.#authorized('POST', '/auth/logout');
    } finally {
      this.#token = null;
    }
  }

  me() {
    return this.#authorized('GET', '/users/me');
  }

  meetings(page = 1, pageSize = 20) {
    return this.#authorized('GET', `/meetings?page=${page}&page_size=${pageSize}`);
  }

  createMeeting(meeting) {
    return this.#authorized('POST', '/meetings', meeting, { 'Idempotency-Key': crypto.randomUUID() });
  }

  meeting(id) {
    return this.#authorized('GET', `/meetings/${encodeURIComponent(id)}`);
  }

  /** Record the room from now on, with everybody in it; the file is in the document's `recording/list` afterwards. */
  startRecording({ meeting_number: number, room_id: roomId }) {
    return this.#authorized('POST', '/recording/start', { meeting_id: number, room_id: roomId });
  }

  /** End a recording; the answer may wait for its file for a while. */
  stopRecording(recordingId) {
    return this.#authorized('POST', '/recording/stop', { recording_id: recordingId });
  }

  /** What opens one WebSocket: {ticket, signaling_url, ice_servers}. The ticket is at most 60 s old when it is used. */
  socketTicket() {
    return this.#authorized('POST', '/auth/ws-ticket');
  }

  async #renewOnce() {
    const { token } = await this.#send('GET', '/csrf-token');
    const answer = await this.#send('POST', '/auth/refresh', {}, { 'X-CSRF-Token': token });
    this.#token = answer.access_token;
  }

  async #authorized(method, path, body, headers = {}) {
    const attempt = () => this.#send(method, path, body, { ...headers, Authorization: `Bearer ${this.#token}` });
    if (this.#token === null) await this.renew();
    try {
      return await attempt();
    } catch (error) {
      if (error.status !== 401) throw error;
      this.#token = null;
      await this.renew();
      return attempt();
    }
  }

  async #send(method, path, body, headers = {}) {
    let response;
    try {
      response = await this.fetch(`${this.baseUrl}/api/v1${path}`, {
        method,
        credentials: 'same-origin',
        headers: body === undefined ? headers : { 'Content-Type': 'application/json', ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch {
      throw new ApiError({ code: 'NETWORK', message: 'The server cannot be reached.' });
    }
    if (response.status === 204) return null;
    const answer = await response.json().catch(() => null);
    if (response.ok) return answer;
    const problem = answer?.error ?? {};
    throw new ApiError({
      code: problem.code ?? 'HTTP_ERROR',
      message: problem.message ?? `The server answered ${response.status}.`,
      status: response.status,
      details: problem.details,
      retryAfter: Number(response.headers.get('Retry-After')) || 0,
    });
  }
}
