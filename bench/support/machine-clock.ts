/** Milliseconds of the machine's monotonic clock: the same in every thread, so that their readings can be subtracted. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
