import { Controller, Get, Inject } from '@nestjs/common';
import { HealthCheck, HealthCheckService, type HealthCheckResult } from '@nestjs/terminus';
import { SagazHealth } from './sagaz-health.js';

/** Probes for an orchestrator. Global guards and prefixes of the application apply to them too. */
@Controller('health')
export class SagazHealthController {
  constructor(
    @Inject(HealthCheckService) private readonly checks: HealthCheckService,
    @Inject(SagazHealth) private readonly health: SagazHealth,
  ) {}

  /** Whether the process answers. An absent database is no reason to restart it. */
  @Get('live')
  @HealthCheck()
  live(): Promise<HealthCheckResult> {
    return this.checks.check([]);
  }

  /** Whether the process can do its work now. */
  @Get('ready')
  @HealthCheck()
  ready(): Promise<HealthCheckResult> {
    return this.checks.check([
      () => this.health.database(),
      () => this.health.broker(),
      () => this.health.work(),
      () => this.health.unserved(),
    ]);
  }
}
