import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { SagazHealth } from './sagaz-health.js';
import { SagazHealthController } from './sagaz-health.controller.js';

/** `GET /health/live` and `GET /health/ready`. */
@Module({
  imports: [TerminusModule],
  controllers: [SagazHealthController],
  providers: [SagazHealth],
  exports: [SagazHealth],
})
export class SagazHealthModule {}
