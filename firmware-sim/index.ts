/**
 * @weir/firmware-sim: what a test or a benchmark needs to plan a fleet and to run it.
 */
export type { Broker } from "./connection.ts";
export type { DeviceEvent, DeviceProgram, Message, MessageTruth } from "./event.ts";
export {
  type Fault,
  type FaultKind,
  type FaultPreset,
  type FaultRules,
  faultKinds,
  faultPresets,
} from "./fault.ts";
export {
  type FleetOptions,
  type FleetOutcome,
  type FleetPlan,
  type Progress,
  runFleet,
} from "./fleet.ts";
export {
  type PlanOptions,
  planDefaults,
  planDevice,
  planPrograms,
  planProblem,
  planSpecs,
} from "./plan.ts";
export { cutMotes, labelsOf, loadMotes, motePrograms } from "./real.ts";
export type { Counts, TruthLine } from "./truth.ts";
