import type { ContractCase } from '../contract-case.js';
import { bytesCases } from './bytes-cases.js';
import { claimCases } from './claim-cases.js';
import { countsCases } from './counts-cases.js';
import { flushCases } from './flush-cases.js';
import { formatCases } from './format-cases.js';
import { latestEntriesCases } from './latest-entries-cases.js';
import { livesCases } from './lives-cases.js';
import { mailLookCases } from './mail-look-cases.js';
import { mailCases } from './mail-cases.js';
import { outputsCases } from './outputs-cases.js';
import { queryCases } from './query-cases.js';
import { retentionCases } from './retention-cases.js';
import type { SagaStoreFixture } from './saga-material.js';
import { othersCases } from './others-cases.js';
import { settleCases } from './settle-cases.js';
import { startCases } from './start-cases.js';
import { unservedCases } from './unserved-cases.js';

export { engineRegistryContract, type EngineRegistryFixture } from './engine-registry-cases.js';
export type { SagaStoreFixture } from './saga-material.js';

/** The contract of every saga store. */
export const sagaStoreContract: readonly ContractCase<SagaStoreFixture>[] = [
  ...startCases,
  ...flushCases,
  ...othersCases,
  ...formatCases,
  ...settleCases,
  ...livesCases,
  ...claimCases,
  ...bytesCases,
  ...outputsCases,
  ...mailCases,
  ...mailLookCases,
  ...queryCases,
  ...latestEntriesCases,
  ...unservedCases,
  ...retentionCases,
  ...countsCases,
];
