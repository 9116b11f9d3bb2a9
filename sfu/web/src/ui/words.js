/** A plain sentence for each thing that goes wrong. */

const DEVICE = {
  NotAllowedError: 'is blocked. Allow it in the browser’s address bar, then try again.',
  NotFoundError: 'was not found. Plug one in, or go on without it.',
  NotReadableError: 'is in use by another program. Close that program, then try again.',
  OverconstrainedError: 'does not support what was asked of it.',
};

/** @param {'camera'|'microphone'|'screen'} source */
export function deviceProblem(source, error) {
  if (!navigator.mediaDevices) return 'Cameras and microphones need a secure address: open this page by https.';
  if (source === 'screen' && error.name === 'NotAllowedError') return null; // the person changed their mind
  return `Your ${source} ${DEVICE[error.name] ?? `could not be started (${error.name}).`}`;
}

/** @param {'camera'|'microphone'} source */
export function unplugged(source) {
  return `Your ${source} was disconnected. Plug it in again or choose another, then switch it on.`;
}

/** @param {'camera'|'microphone'|'screen'} source */
export function notTaken(source) {
  return `The server does not take what your ${source} sends. Switch it on to try again.`;
}

const API = {
  ROOM_FULL: 'This meeting is full. Ask somebody to make room, then try again.',
  MEETING_ENDED: 'This meeting has ended.',
  INVALID_ROOM: 'There is no meeting with this address. Check the link.',
  RESOURCE_NOT_FOUND: 'There is no meeting with this address. Check the link.',
  NETWORK: 'The server cannot be reached. Check your connection, then try again.',
};

export function apiProblem(error) {
  if (error.code === 'RATE_LIMIT_EXCEEDED')
    return `That was too often. Wait ${error.retryAfter || 60} seconds, then try again.`;
  if (error.code === 'VALIDATION_ERROR' && error.details && typeof error.details === 'object')
    return Object.values(error.details).join(' ');
  return API[error.code] ?? error.message;
}

export const CANNOT_ENCRYPT = 'This browser cannot encrypt a meeting end to end. Use a newer one.';

export function endedProblem({ reason, message }) {
  return API[reason] ?? message;
}

/** @param {'camera'|'microphone'|'screen'} source */
export function mutedByOther(source) {
  return `Somebody who runs this meeting switched your ${source} off.`;
}

const RATE_UNITS = [
  [1_000_000, 'Mbit/s', 1],
  [1_000, 'kbit/s', 0],
];

function rateWords(bitrate) {
  const [unit, name, digits] = RATE_UNITS.find(([least]) => bitrate >= least) ?? RATE_UNITS.at(-1);
  return `${(bitrate / unit).toFixed(digits)} ${name}`;
}

const layerWords = ({ spatial, temporal }) => `S${spatial}T${temporal}`;

/** What is received of a video, for the curious: `1280 × 720 · 20/s · VP8 · 1.2 Mbit/s · layer S2T2`. */
export function streamWords(quality, layers) {
  if (!quality?.width) return 'No picture arrives now.';
  const { width, height, frameRate, codec, bitrate, lossRate } = quality;
  const words = [`${width} × ${height}`, `${Math.round(frameRate)}/s`, codec, rateWords(bitrate)];
  const { current, target } = layers ?? {};
  if (current) {
    const moves = target && layerWords(target) !== layerWords(current);
    words.push(`layer ${layerWords(current)}${moves ? ` → ${layerWords(target)}` : ''}`);
  }
  if (lossRate >= 0.01) words.push(`${Math.round(lossRate * 100)} % lost`);
  return words.filter(Boolean).join(' · ');
}

/** What stands in a tile where the picture cannot; null where it can. */
export function noteOf({ sealed, layers, media, video, screen }, source) {
  if (sealed[source] || (source === 'camera' && sealed.microphone))
    return 'Encrypted with another passphrase';
  const { current, target } = layers[source] ?? {};
  const on = source === 'screen' ? screen : video;
  return on && media[source] && current === null && target === null ? 'Picture paused' : null;
}
