import subprocess
import sys
import threading

from perturbench_lamin.locks import locked


def test_one_at_a_time(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(50):
            with locked(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 200
    assert max(most) == 1


def test_another_process_waits_and_goes_on_when_the_holder_is_killed(tmp_path):
    code = (
        "import sys, time; from perturbench_lamin.locks import locked\n"
        "with locked(sys.argv[1]):\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    entered = threading.Event()

    def wait():
        with locked(tmp_path / "lock"):
            entered.set()

    try:
        assert holder.stdout.readline() == "held\n"
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not entered.wait(0.2)
    finally:
        holder.kill()
        holder.communicate()
    waiting.join(timeout=30)
    assert entered.is_set()
