/** The worker that frames pass on their way between encoder and network: encrypts what is sent, decrypts what comes. */

import { openFrame, sealFrame } from './frames.js';
import { KeyRing } from './keys.js';

/** So many frames in a row that cannot be decrypted are no accident: a fifth of a second of sound. */
const TELLING = 10;

let ring = null;
/** mid of a receiver → {trackId, userId, source, failed} */
let owners = new Map();

async function encrypt(kind, frame, controller) {
  frame.data = await sealFrame(await ring.next(), kind, frame.type, frame.data);
  controller.enqueue(frame);
}

async function decrypt(mid, frame, controller) {
  const owner = owners.get(mid);
  if (!owner) return;
  const data = await openFrame((kid) => ring.of(owner.userId, kid), frame.data);
  tell(owner, data !== null);
  if (data === null) return;
  frame.data = data;
  controller.enqueue(frame);
}

/** Tell the page when somebody's frames cannot be decrypted, and when they can again. */
function tell(owner, opened) {
  const before = owner.failed;
  owner.failed = opened ? 0 : before + 1;
  const { trackId, userId, source } = owner;
  const sealed = owner.failed === TELLING;
  if (sealed || (opened && before >= TELLING)) postMessage({ trackId, userId, source, sealed });
}

function transform({ kind, mid }, readable, writable) {
  const work = mid === undefined ? (...all) => encrypt(kind, ...all) : (...all) => decrypt(mid, ...all);
  // a pipe ends with its track; what it then rejects with concerns nobody
  readable.pipeThrough(new TransformStream({ transform: work })).pipeTo(writable).catch(() => {});
}

onrtctransform = ({ transformer }) => transform(transformer.options, transformer.readable, transformer.writable);

onmessage = ({ data: { type, ...told } }) => {
  if (type === 'secret') ring = new KeyRing(told.passphrase, told.meetingId);
  else if (type === 'begin') ring.begin(told.userId);
  else if (type === 'streams') transform(told.options, told.readable, told.writable);
  else if (type === 'owners') {
    const before = owners;
    owners = new Map(
      told.tracks.map(({ mid, track_id: trackId, user_id: userId, source }) => {
        const known = before.get(mid);
        return [mid, known?.trackId === trackId ? known : { trackId, userId, source, failed: 0 }];
      }),
    );
  }
};
