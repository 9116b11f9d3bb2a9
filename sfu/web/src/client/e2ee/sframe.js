/** SFrame (RFC 9605): one media frame encrypted under a key id and a counter. Bytes in, bytes out. */

/** Section 4.5, the suites whose AEAD the browser has; the number is the one of IANA's registry. */
export const AES_128_GCM_SHA256_128 = { number: 4, hash: 'SHA-256', keyBytes: 16 };
export const AES_256_GCM_SHA512_128 = { number: 5, hash: 'SHA-512', keyBytes: 32 };
const NONCE_BYTES = 12;

const ascii = new TextEncoder();

/** Big-endian, in as few bytes as it takes, but `least`. */
function bigEndian(value, least) {
  const bytes = [];
  for (let rest = value; rest > 0n || bytes.length < least; rest >>= 8n) bytes.unshift(Number(rest & 0xffn));
  return Uint8Array.from(bytes);
}

const number = (bytes) => bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);

function joined(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Section 4.3: up to 7 a value stands in the first byte itself, else that has its length less one. */
export function writeHeader(kid, ctr) {
  const long = (value) => (value < 8n ? new Uint8Array() : bigEndian(value, 1));
  const [kidBytes, ctrBytes] = [long(kid), long(ctr)];
  const field = (value, bytes) => (bytes.length ? 8 | (bytes.length - 1) : Number(value));
  return joined([(field(kid, kidBytes) << 4) | field(ctr, ctrBytes)], kidBytes, ctrBytes);
}

/** The header at the start of `bytes`, and how long it is; null where it is cut. */
export function readHeader(bytes) {
  if (!bytes.length) return null;
  let at = 1;
  const value = (field) => {
    if (!(field & 8)) return BigInt(field);
    const end = at + (field & 7) + 1;
    const read = number(bytes.subarray(at, end));
    at = end;
    return read;
  };
  const kid = value(bytes[0] >> 4);
  const ctr = value(bytes[0] & 15);
  return at <= bytes.length ? { kid, ctr, size: at } : null;
}

/** The key and salt of a key id (section 4.4.2). @param {Uint8Array} baseKey */
export async function deriveKey(suite, baseKey, kid) {
  const secret = await crypto.subtle.importKey('raw', baseKey, 'HKDF', false, ['deriveBits']);
  const derive = async (label, size) => {
    const info = joined(ascii.encode(label), bigEndian(kid, 8), bigEndian(BigInt(suite.number), 2));
    const hkdf = { name: 'HKDF', hash: suite.hash, salt: new Uint8Array(), info };
    return new Uint8Array(await crypto.subtle.deriveBits(hkdf, secret, 8 * size));
  };
  const raw = await derive('SFrame 1.0 Secret key ', suite.keyBytes);
  const salt = await derive('SFrame 1.0 Secret salt ', NONCE_BYTES);
  return { kid, salt, key: await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']) };
}

/** The parameters of AES-GCM for one frame (section 4.4.3): its 128-bit tag is the default. */
function gcm({ salt }, ctr, header, metadata) {
  const counter = bigEndian(ctr, NONCE_BYTES);
  return { name: 'AES-GCM', iv: salt.map((byte, at) => byte ^ counter[at]), additionalData: joined(header, metadata) };
}

/** Header and ciphertext of a frame; never call it twice with one counter. `metadata` is authenticated, not sent. */
export async function seal(key, ctr, metadata, plaintext) {
  const header = writeHeader(key.kid, ctr);
  const ciphertext = await crypto.subtle.encrypt(gcm(key, ctr, header, metadata), key.key, plaintext);
  return joined(header, new Uint8Array(ciphertext));
}

/** The frame that `seal` made `bytes` of; rejects where key, metadata or a byte is another. */
export async function open(key, { ctr, size }, metadata, bytes) {
  const parameters = gcm(key, ctr, bytes.subarray(0, size), metadata);
  return new Uint8Array(await crypto.subtle.decrypt(parameters, key.key, bytes.subarray(size)));
}
