import { Module, type DynamicModule } from '@nestjs/common';
import { SagazLifecycle } from '../lifecycle/index.js';
import type { ASYNC_OPTIONS_TYPE, OPTIONS_TYPE } from './module-definition.js';
import { SagazCoreModule } from './sagaz-core.module.js';

/**
 * Sagas, outbox and inbox for one application. Import it in the root module, last, so that it starts
 * after and stops before the modules whose services steps and handlers use.
 *
 * ```ts
 * SagazModule.forRoot({ service: 'order-service', store: postgres(), broker: postgresBroker() })
 * ```
 *
 * @see SagazOptions for the options, their defaults and their environment variables
 */
@Module({ providers: [SagazLifecycle] })
export class SagazModule {
  /** The application does not start with wrong options: `InvalidOptionsError` names them all. */
  static forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    return { module: SagazModule, imports: [SagazCoreModule.forRoot(options)] };
  }

  /** The same with options from a factory. Only `dataSources` must be given here and now. */
  static forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return { module: SagazModule, imports: [SagazCoreModule.forRootAsync(options)] };
  }
}
