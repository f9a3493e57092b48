import {
  Catch,
  Controller,
  ForbiddenException,
  Injectable,
  NotFoundException,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import {
  defineCommand,
  defineEvent,
  IdempotentHandler,
  MessageContext,
  Outbox,
  TransactionManager,
} from '@sagaz/nestjs';
import { EMPTY, of, tap, type Observable } from 'rxjs';
import { EntityManager, Repository } from 'typeorm';
import { z } from 'zod';
import { Order } from './orders.js';

interface Item {
  readonly id: string;
}
const Reserve = defineCommand<Item, { reservation: string }>()('stock.reserve');
const Release = defineCommand<Item>()('stock.release');
const Counted = defineEvent<Item>()('stock.counted');
const Moved = defineEvent<Item>()('stock.moved', { payload: z.object({ id: z.string().min(2) }) });
const Guarded = defineEvent<Item>()('stock.guarded');
const Cached = defineEvent<Item>()('stock.cached');
const Swallowed = defineEvent<Item>()('stock.swallowed');
const Piped = defineEvent<Item>()('stock.piped');
const Scoped = defineEvent<Item>()('stock.scoped');

type Work = (stock: Stock, item: Item, context: MessageContext) => unknown;

/** The behaviour of the handlers in the test at hand. */
export const door: { work: Work } = { work: () => undefined };
/** The parts of the pipeline that ran, in order. */
export const trace: string[] = [];

@Injectable()
class Refusing implements CanActivate {
  canActivate(): boolean {
    throw new ForbiddenException('not you');
  }
}

/** Answers without calling anything behind it. */
@Injectable()
class Cache implements NestInterceptor {
  intercept(): Observable<unknown> {
    return of({ from: 'the cache' });
  }
}

@Catch()
class Swallowing implements ExceptionFilter {
  catch(): Observable<never> {
    trace.push('filter');
    return EMPTY;
  }
}

@Injectable()
class Around implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    trace.push('interceptor in');
    return next.handle().pipe(tap({ complete: () => trace.push('interceptor out') }));
  }
}

@Injectable()
class Refining implements PipeTransform {
  transform(value: unknown): unknown {
    trace.push('pipe');
    if (value instanceof MessageContext) return value;
    throw new NotFoundException('no such shelf');
  }
}

@Controller()
export class Stock {
  constructor(
    @InjectRepository(Order) readonly orders: Repository<Order>,
    readonly outbox: Outbox,
  ) {}

  @IdempotentHandler(Reserve)
  async reserve(
    @Payload() item: Item,
    @Ctx() context: MessageContext,
  ): Promise<{ reservation: string }> {
    await door.work(this, item, context);
    return { reservation: `r-${item.id}` };
  }

  @IdempotentHandler(Release)
  async release(@Payload() item: Item, @Ctx() context: MessageContext): Promise<void> {
    await door.work(this, item, context);
  }

  @IdempotentHandler(Counted, { retry: { attempts: 2, backoff: 1 } })
  async counted(@Payload() item: Item, @Ctx() context: MessageContext): Promise<void> {
    await door.work(this, item, context);
  }

  @IdempotentHandler(Counted, { group: 'auditors' })
  audited(item: Item): string {
    trace.push(`audited ${item.id}`);
    return 'noted';
  }

  @IdempotentHandler(Moved)
  async moved(@Payload() item: Item, @TransactionManager() manager: EntityManager): Promise<void> {
    await manager.insert(Order, { id: item.id });
  }

  @UseGuards(Refusing)
  @IdempotentHandler(Guarded)
  guarded(): void {
    trace.push('handler');
  }

  @IdempotentHandler(Cached, { retry: { attempts: 2, backoff: 1 } })
  @UseInterceptors(Cache)
  cached(): void {
    trace.push('handler');
  }

  @UseFilters(Swallowing)
  @IdempotentHandler(Swallowed, { retry: { attempts: 2, backoff: 1 } })
  @UseInterceptors(Around)
  async swallowed(item: Item): Promise<void> {
    await this.orders.insert({ id: item.id });
    throw new Error('nobody shall know');
  }

  @IdempotentHandler(Piped)
  async piped(@Payload(Refining) item: Item): Promise<void> {
    trace.push(`handler ${item.id}`);
  }

  /** Of other transports: offered to every strategy, and none of ours. */
  @MessagePattern('stock.reserve')
  plain(_data: unknown): unknown {
    throw new Error('never to be called');
  }

  @EventPattern('stock.counted')
  event(_data: unknown): unknown {
    throw new Error('never to be called');
  }
}

let instances = 0;
@Controller({ scope: Scope.REQUEST })
export class ScopedStock {
  readonly number = ++instances;
  constructor(@InjectRepository(Order) readonly orders: Repository<Order>) {}

  @IdempotentHandler(Scoped)
  async scoped(item: Item): Promise<void> {
    await this.orders.insert({ id: `${item.id}-${this.number}` });
  }
}
