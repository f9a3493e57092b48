import type { ContractCase } from '../contract-case.js';
import { claimCases } from './claim-cases.js';
import { commandCases } from './command-cases.js';
import type { InboxDeliveryFixture } from './consumer.js';
import { crashCases } from './crash-cases.js';
import { deadLetterCases } from './dead-letter-cases.js';
import { deliveryCases } from './delivery-cases.js';
import type { InboxStoreFixture } from './inbox-fixture.js';
import { landedLetterCases } from './landed-letter-cases.js';
import { landingGroupCases } from './landing-group-cases.js';
import { landedSizeCases } from './landed-size-cases.js';
import { landedOwnerCases } from './landed-owner-cases.js';
import { landingCases } from './landing-cases.js';
import { limitCases } from './limit-cases.js';
import { owedDeathCases } from './owed-death-cases.js';
import { participantCases } from './participant-cases.js';
import { pipelineCases } from './pipeline-cases.js';
import { randomCases } from './random-cases.js';
import { recoveryCases } from './recovery-cases.js';
import { signingCases } from './signing-cases.js';
import { trialCases } from './trial-cases.js';

export type { EffectTable, InboxDeliveryFixture } from './consumer.js';
export type { InboxParts, InboxStoreFixture } from './inbox-fixture.js';

/** The contract of every inbox store. */
export const inboxStoreContract: readonly ContractCase<InboxStoreFixture>[] = [
  ...claimCases,
  ...participantCases,
  ...deadLetterCases,
  ...landingCases,
  ...landedOwnerCases,
  ...landedLetterCases,
  ...landedSizeCases,
  ...landingGroupCases,
];

/**
 * The results that a delivery must have on every store: handlers, commands, compensations, dead letters and
 * replays over the store's own transactions, beside effects that commit and roll back with them.
 */
export const inboxDeliveryContract: readonly ContractCase<InboxDeliveryFixture>[] = [
  ...deliveryCases,
  ...limitCases,
  ...pipelineCases,
  ...commandCases,
  ...crashCases,
  ...owedDeathCases,
  ...recoveryCases,
  ...signingCases,
  ...trialCases,
  ...randomCases,
];
