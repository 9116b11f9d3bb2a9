import { RecordButton } from './outgoing.jsx';

const ICONS = {
  microphone: 'M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3zm6-3a6 6 0 0 1-12 0M12 18v3',
  camera: 'M4 7h10a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1zm11 4 6-3v8l-6-3',
  screen: 'M3 5h18v11H3zM8 20h8M12 16v4M12 13V8m-2.500 2L12 7.500 14.500 10',
  chat: 'M4 5h16v11H9l-5 4z',
  people: 'M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zm-6 8a6 6 0 0 1 12 0M16 5.500a3 3 0 0 1 0 5.500m2 8a6 6 0 0 0-2-4',
  record: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zm0 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z',
  leave: 'M3 14c5-5 13-5 18 0l-2 3-4-1.500V13a10 10 0 0 0-6 0v2.500L5 17z',
};

const WORDS = {
  microphone: ['Mute', 'Unmute'],
  camera: ['Turn camera off', 'Turn camera on'],
  screen: ['Stop sharing', 'Share screen'],
};
const KEYS = { microphone: 'M', camera: 'V', screen: 'S', chat: 'C' };

function Icon({ name, crossed }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
      <path d={ICONS[name]} />
      {crossed && <path d="M4 4l16 16" class="cross" />}
    </svg>
  );
}

/** That something is encrypted; what that means is said beside it. */
export function Lock() {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="16" height="16" aria-hidden="true">
      <path d="M6 11h12v9H6zM8 11V8a4 4 0 0 1 8 0v3" />
    </svg>
  );
}

/** A device's button: its label says what a press will do, and by that what is now. */
export function Control({ source, on, onToggle }) {
  const label = WORDS[source][on ? 0 : 1];
  return (
    <button
      class={`control ${on ? 'on' : 'off'}`}
      data-source={source}
      aria-keyshortcuts={KEYS[source]}
      title={`${label} (${KEYS[source]})`}
      onClick={() => onToggle(source)}
    >
      <Icon name={source} crossed={!on && source !== 'screen'} />
      <span>{label}</span>
    </button>
  );
}

/** The bar under the grid. */
export function Controls({ call, tracks, chatOpen, chatButton, unread, onToggle, onChat, onRecord, onLeave }) {
  return (
    <div class="controls" role="group" aria-label="Call controls">
      <Control source="microphone" on={Boolean(tracks.microphone?.enabled)} onToggle={onToggle} />
      <Control source="camera" on={Boolean(tracks.camera)} onToggle={onToggle} />
      {navigator.mediaDevices?.getDisplayMedia && (
        <Control source="screen" on={Boolean(tracks.screen)} onToggle={onToggle} />
      )}
      <button
        class="control"
        ref={chatButton}
        aria-expanded={chatOpen}
        aria-controls={chatOpen ? 'chat' : undefined}
        aria-keyshortcuts="C"
        title="Chat (C)"
        onClick={onChat}
      >
        <Icon name="chat" />
        <span>Chat{unread ? ` (${unread})` : ''}</span>
      </button>
      {!call.encrypted && <RecordButton call={call} icon={<Icon name="record" />} onRecord={onRecord} />}
      <button class="control leave" onClick={onLeave}>
        <Icon name="leave" />
        <span>Leave</span>
      </button>
    </div>
  );
}
