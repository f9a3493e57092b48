import { defineEvent } from '@sagaz/nestjs';

/** A payload of some 400 bytes, as the messages of the other parts have. */
export interface Happened {
  readonly text: string;
}
export const HAPPENED: Happened = { text: 'x'.repeat(380) };

/** The message that the business transactions publish and the handlers handle. */
export const BenchHappened = defineEvent<Happened>()('bench.happened');
