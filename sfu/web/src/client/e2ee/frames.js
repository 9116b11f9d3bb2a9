/**
 * An encoded frame, encrypted: `clear bytes ‖ SFrame header ‖ ciphertext ‖ one byte: how many are clear`.
 *
 * Clear, but authenticated, is what packetizers and the SFU read. Of VP8 that is the frame tag and, on key frames, the
 * start code and the size (RFC 6386 section 9.1: 3 and 10 bytes), which hold VP9's uncompressed header up to the size
 * too; of Opus the table of contents (RFC 6716 section 3.1). H.264 and AV1 are not sent: their packetizers cut the
 * frame at NAL units and OBUs, which would have to stay readable.
 */

import { open, readHeader, seal } from './sframe.js';

export const CODECS = ['vp8', 'vp9'];
const CLEAR_KEY = 10;
const CLEAR_DELTA = 3;
const CLEAR_AUDIO = 1;

/** @param {'audio'|'video'} kind @param {'key'|'delta'} type of an encoded frame of video */
function clearBytes(kind, type) {
  if (kind === 'audio') return CLEAR_AUDIO;
  return type === 'key' ? CLEAR_KEY : CLEAR_DELTA;
}

/** The frame as it is sent. @param {ArrayBuffer} data */
export async function sealFrame({ key, ctr }, kind, type, data) {
  const bytes = new Uint8Array(data);
  const size = Math.min(clearBytes(kind, type), bytes.length);
  const clear = bytes.subarray(0, size);
  const sealed = await seal(key, ctr, clear, bytes.subarray(size));
  const frame = new Uint8Array(size + sealed.length + 1);
  frame.set(clear);
  frame.set(sealed, size);
  frame[frame.length - 1] = size;
  return frame.buffer;
}

/**
 * The frame as it was encoded; null where it is none that `keyOf` has the key of.
 * @param {(kid: bigint) => Promise<object>} keyOf
 */
export async function openFrame(keyOf, data) {
  const bytes = new Uint8Array(data);
  const size = bytes.at(-1);
  if (size === undefined || size > CLEAR_KEY || size >= bytes.length) return null;
  const sealed = bytes.subarray(size, -1);
  const header = readHeader(sealed);
  if (header === null) return null;
  const clear = bytes.subarray(0, size);
  let plaintext;
  try {
    plaintext = await open(await keyOf(header.kid), header, clear, sealed);
  } catch {
    return null; // WebCrypto says no more than that it failed
  }
  const frame = new Uint8Array(size + plaintext.length);
  frame.set(clear);
  frame.set(plaintext, size);
  return frame.buffer;
}
