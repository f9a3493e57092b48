import { SagazError } from '../../errors/index.js';

/**
 * The publish timeout is too long for the lease: a publish could outlive the lease under which it was
 * begun.
 */
export class PublishTimeoutTooLongError extends SagazError {
  readonly code = 'SAGAZ_PUBLISH_TIMEOUT_TOO_LONG';

  constructor(
    readonly publishTimeoutMs: number,
    readonly leaseTtlMs: number,
  ) {
    super(
      `relay.publishTimeout is ${publishTimeoutMs} ms and the slots are leased for ${leaseTtlMs} ms.`,
      `Give a publish timeout of at most ${Math.floor(leaseTtlMs * 0.6)} ms, or a longer lease.`,
    );
  }
}
