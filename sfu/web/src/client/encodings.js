/**
 * How each source is encoded: a camera in up to three sizes at once (simulcast, RFC 8853), so that the SFU can give
 * everybody the one that fits their screen and their link; a screen once, in full, since a smaller one cannot be read.
 */

/** The picture's area and up to how many bits a second it is worth: 1080p, 720p, 360p, and what is below. */
const RATES = [
  [1600 * 900, 2_500_000],
  [960 * 540, 1_500_000],
  [480 * 270, 500_000],
  [0, 150_000],
];
/** As libwebrtc allows (`simulcast.cc`): asked for more layers than these, it drops the largest. */
const THREE_LAYERS = 960 * 540;
const TWO_LAYERS = 480 * 270;
const RIDS = ['q', 'h', 'f'];
const SCREEN_BITRATE = 2_500_000;
/** Three frame rates in one stream: what a weak link cannot carry is left out frame by frame. */
const TEMPORAL = 'L1T3';

const rate = (area) => RATES.find(([least]) => area >= least)[1];

/** How many sizes a capture of `width` × `height` is sent in; of unknown size, all. */
export function layersOf({ width = 1280, height = 720 }) {
  const area = width * height;
  if (area >= THREE_LAYERS) return 3;
  return area >= TWO_LAYERS ? 2 : 1;
}

/**
 * The `sendEncodings` of a source, from the smallest picture to the full one.
 *
 * @param {'microphone'|'camera'|'screen'} source
 * @param {MediaTrackSettings} captured the track's size
 * @param {string} [scalabilityMode] one stream with layers inside (SVC) instead of simulcast
 * @returns {RTCRtpEncodingParameters[]}
 */
export function encodingsOf(source, captured, scalabilityMode) {
  if (source === 'microphone') return [{}];
  if (source === 'screen') return [{ maxBitrate: SCREEN_BITRATE, scalabilityMode: TEMPORAL }];
  const { width = 1280, height = 720 } = captured;
  if (scalabilityMode) return [{ maxBitrate: rate(width * height), scalabilityMode }];
  const rids = RIDS.slice(-layersOf(captured));
  return rids.map((rid, at) => {
    const scaleResolutionDownBy = 2 ** (rids.length - 1 - at);
    const maxBitrate = rate((width * height) / scaleResolutionDownBy ** 2);
    return { rid, scaleResolutionDownBy, maxBitrate, scalabilityMode: TEMPORAL };
  });
}

/**
 * Fit a sender that simulcasts already to a track of another size: the number of encodings is fixed when the sender
 * is made, so the largest rest where the picture is too small for all. Answers whether anything has to change.
 *
 * @param {RTCRtpSendParameters} parameters changed in place
 */
export function fit(parameters, captured) {
  const { encodings } = parameters;
  if (encodings.length < 2) return false;
  const fitting = encodingsOf('camera', captured);
  let changed = false;
  encodings.forEach((encoding, at) => {
    const { scaleResolutionDownBy = 1, maxBitrate } = fitting[at] ?? {};
    const wanted = { active: at < fitting.length, scaleResolutionDownBy, maxBitrate: maxBitrate ?? encoding.maxBitrate };
    for (const [name, value] of Object.entries(wanted)) {
      changed ||= encoding[name] !== value;
      encoding[name] = value;
    }
  });
  return changed;
}

/**
 * The browser's codecs of a kind with the wanted one first, or only those of `names`; null where nothing is to be said.
 *
 * @param {string} [wanted] `vp8`, `vp9`, `h264`, `av1`; one that the browser lacks changes nothing
 * @param {string[]} [names] the only codecs to offer
 */
export function codecOrder(kind, wanted, names) {
  if (kind !== 'video' || !(wanted || names)) return null;
  const { codecs } = RTCRtpSender.getCapabilities('video');
  const name = ({ mimeType }) => mimeType.slice('video/'.length).toLowerCase();
  const allowed = codecs.filter((codec) => !names || [...names, 'rtx'].includes(name(codec)));
  const first = allowed.filter((codec) => name(codec) === wanted);
  return [...first, ...allowed.filter((codec) => !first.includes(codec))];
}
