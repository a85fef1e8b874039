// The JSON of the HTTP contract, by the names the page uses. The shapes are made from the box's OpenAPI document
// (`npm run types`, part of every check), so they cannot be stale.
import type { components } from '../../generated/openapi';

type Schemas = components['schemas'];

export type Role = Schemas['Role'];
export type Permission = Schemas['Permission'];
export type Stream = Schemas['Stream'];
export type StreamChoice = 'auto' | Stream;
/** What a failed answer holds; one that is not of the box's making has only its status. */
export type Problem = Partial<Schemas['Problem']> & { status: number };

export type Me = Schemas['Me'];
export type CameraView = Schemas['CameraView'];
export type Device = Schemas['Device'];
export type User = Schemas['User'];
export type StreamPassword = Schemas['StreamPassword'];
export type NewStreamPassword = Schemas['MadeStreamPassword'];
export type PairingCode = Schemas['PairingCode'];

export type CameraInfo = Schemas['Camera'];
export type PushStatus = Schemas['PushStatus'];
export type RangePush = Schemas['RangePush'];
export type CameraHealth = Schemas['CameraHealth'];
export type CameraState = CameraHealth['state'];
export type RecordingStatus = Schemas['RecordingStatus'];

export type PerchEvent = Schemas['Event'];
export type EventPage = Schemas['EventPage'];
export type EventKind = PerchEvent['kind'];
export type Cause = PerchEvent['cause'];

export type Timeline = Schemas['Timeline'];
export type Gap = Schemas['Gap'];
export type GapCause = Gap['cause'];

export type CopyTargetStatus = Schemas['CopyTargetStatus'];
export type CopyTargets = Schemas['CopyTargets'];
export type CopyHour = Schemas['CopyHour'];
export type CopyHours = Schemas['CopyHours'];
export type StoreProbeLine = Schemas['ProbeLine'];
export type ProbedStore = Schemas['ProbedStore'];

export type Modes = Schemas['Modes'];
export type OffBy = Schemas['OffBy'];

export type Status = Schemas['Status'];
export type UpdateState = Schemas['UpdateState'];
export type Bundle = Schemas['Bundle'];
export type TaskStatus = Schemas['TaskStatus'];
export type LiveDiagnosis = Schemas['LiveDiagnosis'];
export type LiveSession = Schemas['LiveSession'];
export type Notice = Schemas['Notice'];
export type Floor = Schemas['Floor'];
export type Announcement = Schemas['Announcement'];

export type Setting = Schemas['Setting'];
export type SettingsSchema = Schemas['SettingsSchema'];
export type SettingsChanged = Schemas['SettingsChanged'];
export type Kept = Schemas['Kept'];
export type LogLine = Schemas['LogLine'];
export type LogPage = Schemas['LogPage'];
export type Restored = Schemas['Restored'];
export type SystemFacts = Schemas['System'];
export type SettingsVersion = Schemas['SettingsVersion'];
export type SettingsText = Schemas['SettingsText'];

export type Found = Schemas['Found'];
export type FoundInNetwork = Schemas['FoundInNetwork'];
export type FoundDevice = Schemas['FoundDevice'];
export type FoundCamera = Schemas['FoundCamera'];
export type FoundStreams = Schemas['FoundStreams'];
export type PictureControl = Schemas['PictureControl'];
export type SourceControls = Schemas['SourceControls'];
export type StreamsRequest = Schemas['StreamsRequest'];
export type Probed = Schemas['Probed'];
export type ProbedStream = Schemas['ProbedStream'];
export type Judgement = Schemas['Judgement'];
