export { fromHeaders, toHeaders, type AttributePrefix, type Carried } from './cloud-events.js';
export { MalformedEnvelopeError } from './malformed-envelope.error.js';
