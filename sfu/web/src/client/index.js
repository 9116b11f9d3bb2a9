/** The client of Meet for anybody's page: `import { Api, Call } from '…/client/index.js'`. No framework inside. */
export { Api, ApiError } from './api.js';
export { Call } from './call.js';
export { newPassphrase, supportsEncryption } from './e2ee/encryption.js';
export { Signaling } from './signaling.js';
