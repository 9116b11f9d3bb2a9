/** The devices of this computer, and what is being captured from them. */

const CONSTRAINTS = {
  microphone: { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } },
  camera: { video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } } },
};

/** One live track of a source; rejects with the browser's error. */
export async function capture(source) {
  if (!navigator.mediaDevices) throw new DOMException('no secure context', 'NotAllowedError');
  const stream =
    source === 'screen'
      ? await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15 } } })
      : await navigator.mediaDevices.getUserMedia(CONSTRAINTS[source]);
  const [track] = stream.getTracks();
  if (source === 'screen') track.contentHint = 'detail';
  return track;
}
