import {
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { defer, lastValueFrom, type Observable } from 'rxjs';
import { NotDeliveredError } from './errors.js';
import { MessageContext } from './message-context.js';

/**
 * Runs the handler of a message in its transaction. It is inside of guards and of all other
 * interceptors, so that their work costs no transaction and cannot change what is committed. It is
 * outside of pipes, so that a payload which they refuse is rolled back with the rest.
 */
@Injectable()
export class InboxInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const message: unknown = context.switchToRpc().getContext();
    if (!(message instanceof MessageContext)) {
      throw new NotDeliveredError(context.getClass().name, context.getHandler().name);
    }
    const args = context.getArgs<[unknown]>();
    const untouched = message.isPayload(args[0]);
    return defer(() =>
      // next.handle() is called inside, because Nest binds the async context, and with it the
      // transaction that repositories join, at the moment of the call. A transaction that lost a race
      // calls it again.
      message.run((again) => {
        // Pipes and the handler read their arguments from this array when they are called.
        if (again !== null && untouched) args[0] = again.payload;
        return lastValueFrom(next.handle(), { defaultValue: undefined });
      }),
    );
  }
}
