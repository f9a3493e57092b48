import { Relay, replyMail, systemClock } from '@sagaz/core';
import { nullBroker } from '../null-broker.js';
import { openStore, quietLogger } from '../store.js';

export interface RelayRun {
  readonly url: string;
}
/** A relay's report: how many slots it holds, and how many messages it has published so far. */
export interface RelayState {
  readonly leases: number;
  readonly published: number;
}

const { url } = JSON.parse(process.argv[2] ?? '{}') as RelayRun;
const store = await openStore(url);
let published = 0;
const say = (): void => {
  const state: RelayState = { leases: relay.leases(), published };
  process.send?.(state);
};
const relay = new Relay({
  outbox: store.outbox,
  broker: nullBroker((batch) => {
    published += batch.length;
    say();
  }),
  clock: systemClock,
  logger: quietLogger,
  replyMail,
});
await relay.start();
const saying = setInterval(say, 100);

process.on('message', (word) => {
  if (word === 'wake') relay.wake();
  if (word === 'close') void close();
});
process.once('disconnect', () => process.exit(0));

async function close(): Promise<void> {
  clearInterval(saying);
  await relay.close(10_000);
  await store.close();
  process.exit(0);
}
