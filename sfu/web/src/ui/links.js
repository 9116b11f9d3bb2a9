/** What the address of a meeting says beside which one it is. */

const PASSPHRASE = 'key';

/** The passphrase in the fragment of a link, which browsers never send to a server; '' where there is none. */
export function passphraseOf(link) {
  const [, fragment = ''] = link.split('#');
  return new URLSearchParams(fragment).get(PASSPHRASE) ?? '';
}

/** A link with this passphrase in it. */
export function addressWith(link, passphrase) {
  return `${link.split('#')[0]}#${new URLSearchParams({ [PASSPHRASE]: passphrase })}`;
}

/** How the camera is to be encoded: `?codec=vp9&scalability=L3T3_KEY`, for whoever compares codecs. */
export function videoOf(search) {
  const asked = new URLSearchParams(search);
  return { codec: asked.get('codec') ?? undefined, scalabilityMode: asked.get('scalability') ?? undefined };
}
