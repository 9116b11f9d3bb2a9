import { useEffect, useState } from 'preact/hooks';
import { newPassphrase } from '../client/index.js';
import { Brand } from './account.jsx';
import { useAttempt, useScreen } from './hooks.js';
import { passphraseOf } from './links.js';
import { apiProblem } from './words.js';

const LINK = /\/meetings\/([^/?#]+)/;

/** Create a meeting, join one by its link or number, or go back to one of yours. */
export function Home({ api, user, onOpen, onSignOut }) {
  const [meetings, setMeetings] = useState(null);
  const [listProblem, setListProblem] = useState(null);
  const first = useScreen('Meetings');
  const [creating, createProblem, create] = useAttempt(apiProblem);
  const [joining, joinProblem, join] = useAttempt(apiProblem);

  useEffect(() => {
    api.meetings().then(
      (answer) => setMeetings(answer.meetings),
      (error) => {
        setMeetings([]);
        setListProblem(apiProblem(error));
      },
    );
  }, [api]);

  const submitCreate = async (event) => {
    event.preventDefault();
    const { title, max, encrypted } = Object.fromEntries(new FormData(event.currentTarget));
    const meeting = await create(() =>
      api.createMeeting({
        title,
        description: '',
        start_time: new Date().toISOString(),
        duration: 60,
        max_participants: Number(max),
        require_e2ee: Boolean(encrypted),
      }),
    );
    if (meeting) onOpen(meeting.meeting_id, encrypted ? newPassphrase() : '');
  };
  const submitJoin = async (event) => {
    event.preventDefault();
    const typed = new FormData(event.currentTarget).get('where').trim();
    const meeting = await join(() => api.meeting(LINK.exec(typed)?.[1] ?? typed));
    if (meeting) onOpen(meeting.meeting_id, passphraseOf(typed));
  };

  return (
    <main class="home">
      <header>
        <Brand />
        <span class="who" dir="auto">{user.username}</span>
        <button class="link" onClick={onSignOut}>
          Sign out
        </button>
      </header>
      <section class="card">
        <h1 ref={first} tabIndex={-1}>
          New meeting
        </h1>
        <form onSubmit={submitCreate}>
          <label>
            Title
            <input name="title" required maxLength={200} placeholder="Team standup" />
          </label>
          <label>
            Places
            <input name="max" type="number" min={2} max={100} value={10} required />
          </label>
          <label class="check">
            <input name="encrypted" type="checkbox" /> End-to-end encrypted
            <small>The server cannot see or hear it, so it cannot record it either. The link is the key.</small>
          </label>
          {createProblem && <p class="problem" role="alert">{createProblem}</p>}
          <button class="primary" aria-disabled={creating}>Create and join</button>
        </form>
      </section>
      <section class="card">
        <h2>Join a meeting</h2>
        <form onSubmit={submitJoin}>
          <label>
            Link or number
            <input name="where" required placeholder="123 or a link that you were sent" />
          </label>
          {joinProblem && <p class="problem" role="alert">{joinProblem}</p>}
          <button aria-disabled={joining}>Join</button>
        </form>
      </section>
      <section class="card wide" aria-busy={meetings === null}>
        <h2>Your meetings</h2>
        {listProblem && <p class="problem" role="alert">{listProblem}</p>}
        {meetings?.length === 0 && !listProblem && <p class="hint">None yet. The first one is a click away.</p>}
        <ul class="meetings">
          {meetings?.map((meeting) => (
            <li key={meeting.meeting_id}>
              <button onClick={() => onOpen(meeting.meeting_id)} disabled={meeting.status === 'ended'}>
                <strong dir="auto">{meeting.title}</strong>
                <span>
                  Number {meeting.meeting_number} · {meeting.status.replace('_', ' ')}
                  {meeting.current_participants ? ` · ${meeting.current_participants} there now` : ''}
                </span>
              </button>
            </li>
          ))}
        </ul>
      </section>
    </main>
  );
}
