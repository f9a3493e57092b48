import { DBOS } from '@dbos-inc/dbos-sdk';
import { answer } from '../child.js';
import { withCost } from '../cost.js';
import { drive } from '../measure.js';
import { quantile } from '../statistics.js';
import type { SagaCost, SagaRun } from './sagaz-sagas.js';

await answer(async ({ url, inFlight, count }: SagaRun): Promise<SagaCost> => {
  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl: url,
    logLevel: 'error',
  });
  const threeSteps = DBOS.registerWorkflow(
    async (_index: number) => {
      const first = await DBOS.runStep(() => Promise.resolve(1), { name: 'first' });
      const second = await DBOS.runStep(() => Promise.resolve(first + 1), { name: 'second' });
      return DBOS.runStep(() => Promise.resolve(second + 1), { name: 'third' });
    },
    { name: 'threeSteps' },
  );
  await DBOS.launch();
  const durations: number[] = [];
  const one = async (index: number): Promise<void> => {
    const began = performance.now();
    await threeSteps(index);
    durations.push(performance.now() - began);
  };
  await drive(Math.min(count, 200), inFlight, one);
  durations.length = 0;
  const { value: ms, cost } = await withCost(url, count, () => drive(count, inFlight, one));
  await DBOS.shutdown();
  return { perSecond: (count / ms) * 1000, p50: quantile(durations, 0.5), cost };
});
