export { InvalidSigningKeyError, UntrustedMessageError } from './errors.js';
export type { Distrust } from './distrust.js';
export { MessageSigning, type SigningOptions } from './message-signing.js';
export { markUntrusted, untrustedDigest, withoutMark } from './untrusted-mark.js';
