/**
 * Keeps a given value out of what Node.js prints of an error that nobody caught, and out of what loggers
 * copy of an error: both show its enumerable properties as they are, a url with its password for
 * instance. The message shows the value without passwords; code can still read the property.
 */
export function hideFromLogs<E extends Error>(error: E, property: keyof E): void {
  Object.defineProperty(error, property, { enumerable: false });
}
