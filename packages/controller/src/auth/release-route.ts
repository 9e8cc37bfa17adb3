/** An operator says that the boot which owns a VM's name is gone for good: the next one may join at once. */
import * as z from 'zod';
import type { App } from '../http/app.js';
import { vmParams } from '../http/vm-routes.js';

export function releaseRoute(app: App, { release }: { readonly release: (vmId: string) => void }): void {
  app.post(
    '/api/v1/vms/:vm_id/release',
    {
      schema: {
        summary: "End the session of a VM's present boot, so that another boot may join under its name",
        params: vmParams,
        response: { 200: z.object({ vm_id: z.string(), released: z.literal(true) }) },
      },
    },
    (request) => {
      release(request.params.vm_id);
      return { vm_id: request.params.vm_id, released: true as const };
    },
  );
}
