import { Sagas } from '@sagaz/nestjs';
import { answer } from '../child.js';
import { startApplication } from '../nest/application.js';
import { createBusinessTables } from '../nest/business.js';
import { PlainFive, PlainTwo, TransactionalFive, TransactionalTwo } from '../nest/step-sagas.js';
import { CountingProxy } from '../proxy.js';
import { median } from '../statistics.js';

export interface SagaTripsRun {
  readonly url: string;
  readonly count: number;
}
/** Round trips of all connections of the application. */
export interface SagaTrips {
  /** For one more step that touches no database. */
  readonly plainStep: number;
  /** For one more transactional step with one statement of its own. */
  readonly transactionalStep: number;
  /** For a whole saga of two plain steps: its start, its steps, and what tells others of its end. */
  readonly plainTwo: number;
}

type StepSaga =
  typeof PlainTwo | typeof PlainFive | typeof TransactionalTwo | typeof TransactionalFive;

const STEPS_MORE = 3;

await answer(async ({ url, count }: SagaTripsRun): Promise<SagaTrips> => {
  await createBusinessTables(url);
  const proxy = await CountingProxy.start(url);
  const { app } = await startApplication({
    url: proxy.url,
    poolSize: 5,
    roles: { engine: true },
    providers: [PlainTwo, PlainFive, TransactionalTwo, TransactionalFive],
  });
  const sagas = app.get(Sagas);
  const total = async (): Promise<number> =>
    Object.values(await proxy.flights()).reduce((sum, flights) => sum + flights, 0);

  /** The median, because now and then a heartbeat or a look for work comes in between. */
  const tripsOf = async (saga: StepSaga): Promise<number> => {
    const trips: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const before = await total();
      const handle = await sagas.start(saga, index);
      await handle.result({ timeout: '60s' });
      trips.push((await total()) - before);
    }
    return median(trips.slice(Math.floor(count / 5)));
  };
  const plainTwo = await tripsOf(PlainTwo);
  const found: SagaTrips = {
    plainTwo,
    plainStep: ((await tripsOf(PlainFive)) - plainTwo) / STEPS_MORE,
    transactionalStep:
      ((await tripsOf(TransactionalFive)) - (await tripsOf(TransactionalTwo))) / STEPS_MORE,
  };
  await app.close();
  await proxy.close();
  return found;
});
