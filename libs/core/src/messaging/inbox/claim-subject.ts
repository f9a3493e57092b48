import type {
  ClaimState,
  InboxKey,
  InboxLine,
  InboxStore,
  LandedRow,
  Message,
  Transaction,
} from '../../ports/index.js';
import { HeldKeyError } from './errors.js';

/** The keys by which the inbox claims a delivery. */
export interface Claimed {
  /** The inbox key; of a landed message that under which it landed. */
  readonly key: InboxKey;
  /** The key in whose order the message is; undefined: none. */
  readonly line: InboxLine | undefined;
  /** Its row in the landing queue; undefined: it comes from the broker. */
  readonly landed: LandedRow | undefined;
  /**
   * The key of its own id, where it landed under another one because it was not trusted then; otherwise
   * undefined. It ends with this one, so that the same message does not have its effects again.
   */
  readonly own: InboxKey | undefined;
}

/** How long a claim waits, and when the database may end its transaction; in milliseconds. */
export interface ClaimTimes {
  readonly waitMs: number;
  readonly idleMs?: number | undefined;
}

/**
 * Claims a delivery, as the first statement of a transaction. `known_itself`: a landed message whose own id
 * had ended before; its row is claimed and has to be ended.
 *
 * @throws HeldKeyError where an earlier message of the key is in the landing queue
 */
export async function claimSubject(
  inbox: InboxStore,
  subject: Claimed & { readonly message: Message },
  transaction: Transaction,
  times: ClaimTimes,
): Promise<'new' | 'known' | 'known_itself'> {
  const state = await claimState(inbox, subject, transaction, times);
  if (state === 'held') throw new HeldKeyError(subject.message.type, subject.key.group);
  if (state !== 'new') return 'known';
  if (subject.own === undefined) return 'new';
  const own = await inbox.claim(subject.own, transaction, times.waitMs);
  return own === 'new' ? 'new' : 'known_itself';
}

/** Claims the delivery if it is new, and returns its state. */
export function claimState(
  inbox: InboxStore,
  { key, line, landed }: Claimed,
  transaction: Transaction,
  { waitMs, idleMs }: ClaimTimes,
): Promise<ClaimState> {
  return inbox.claim(key, transaction, waitMs, {
    ...(idleMs === undefined ? {} : { idleMs }),
    ...(line === undefined ? {} : { line }),
    ...(landed === undefined ? {} : { landed: landed.seq }),
  });
}
