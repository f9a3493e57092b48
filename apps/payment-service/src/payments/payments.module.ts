import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { readConfig } from '../config.js';
import { PaymentProvider } from '../provider/payment-provider.js';
import { SimulatedPaymentProvider } from '../provider/simulated-payment-provider.js';
import { Payment } from './payment.entity.js';
import { PaymentsController } from './payments.controller.js';

@Module({
  imports: [TypeOrmModule.forFeature([Payment])],
  controllers: [PaymentsController],
  providers: [
    {
      provide: PaymentProvider,
      useFactory: () => {
        const config = readConfig();
        return new SimulatedPaymentProvider(config.DATABASE_URL, {
          declineRate: config.PROVIDER_DECLINE_RATE,
          failureRate: config.PROVIDER_FAILURE_RATE,
          delayMs: config.PROVIDER_DELAY_MS,
        });
      },
    },
  ],
})
export class PaymentsModule {}
