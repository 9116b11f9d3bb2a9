import { Control, Lock } from './controls.jsx';
import { useScreen } from './hooks.js';
import { Video } from './tile.jsx';

/** A look in the mirror before the others see it. */
export function Lobby({ meeting, tracks, passphrase, problem, joining, onToggle, onJoin, onBack }) {
  const title = meeting?.title ?? 'Meeting';
  const first = useScreen(title);
  return (
    <main class="card lobby">
      <h1 ref={first} tabIndex={-1} dir="auto">
        {title}
      </h1>
      {meeting && (
        <p class="hint">
          Number {meeting.meeting_number} ·{' '}
          {meeting.current_participants === 1
            ? '1 person is there'
            : `${meeting.current_participants || 'nobody'} ${meeting.current_participants ? 'people are there' : 'is there yet'}`}
        </p>
      )}
      {(meeting?.require_e2ee || passphrase.value) && (
        <p class="hint locked">
          <Lock /> End-to-end encrypted: who has the whole link can see and hear, and the server cannot.
        </p>
      )}
      <div class="mirror">
        {tracks.camera ? <Video track={tracks.camera} mirrored label="Your camera" /> : <p>Your camera is off</p>}
      </div>
      <div class="controls" role="group" aria-label="Devices">
        <Control source="microphone" on={Boolean(tracks.microphone?.enabled)} onToggle={onToggle} />
        <Control source="camera" on={Boolean(tracks.camera)} onToggle={onToggle} />
      </div>
      {passphrase.wanted && (
        <label>
          Passphrase
          <input
            value={passphrase.value}
            onInput={({ target }) => passphrase.set(target.value)}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
          />
          <small>It is at the end of the link that you were sent, and never leaves this page.</small>
        </label>
      )}
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <div class="row">
        <button onClick={onBack}>Back</button>
        <button class="primary" onClick={onJoin} disabled={!meeting || passphrase.missing} aria-disabled={joining}>
          Join now
        </button>
      </div>
    </main>
  );
}
