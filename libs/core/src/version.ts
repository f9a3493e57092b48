/**
 * The version of this package. Drivers pass it on, so that an application can see at its start that
 * all its packages of Sagaz, and all copies of this one, belong together.
 */
export const VERSION = '0.1.0';
