export { sagazLogFields, withLogFields, type WorkFields } from './log-fields.js';
