import {
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { ClsServiceManager } from 'nestjs-cls';
import { Observable } from 'rxjs';

const cls = ClsServiceManager.getClsService();

/**
 * Runs `work` in a new context of nestjs-cls. It has what the context around it has, for instance its
 * transaction, and leaves nothing in that.
 */
export function inContextOfItsOwn<T>(work: () => T): T {
  return cls.run({ ifNested: 'inherit' }, work);
}

/**
 * Runs each request and message in a context of nestjs-cls, if the application has opened none for it
 * (`middleware: { mount: true }`). Messages that entities record outside of a transaction are noted in it,
 * so that no other request is taken to have recorded them.
 */
@Injectable()
export class RequestContextInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (cls.isActive()) return next.handle();
    // The handler is called when Nest subscribes, which is outside of a context that is opened here.
    return new Observable((subscriber) =>
      inContextOfItsOwn(() => next.handle().subscribe(subscriber)),
    );
  }
}
