import type { ContractCase } from '../contract-case.js';
import { claimCases } from './claim-cases.js';
import { deadLetterCases } from './dead-letter-cases.js';
import type { InboxStoreFixture } from './inbox-fixture.js';
import { participantCases } from './participant-cases.js';

export type { InboxParts, InboxStoreFixture } from './inbox-fixture.js';

/** What every inbox store must do. */
export const inboxStoreContract: readonly ContractCase<InboxStoreFixture>[] = [
  ...claimCases,
  ...participantCases,
  ...deadLetterCases,
];
