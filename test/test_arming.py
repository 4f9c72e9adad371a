# Copyright 2026 hlai_control contributors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""Laws of arming: a stop holds until it is released, whoever dies meanwhile."""

from hlai_control.robots.arming import Arming


def test_a_stop_holds_until_it_is_released_and_arming_is_asked_for_anew(tmp_path):
    arming = Arming(tmp_path / 'mark', 1.0, armed=True)
    assert arming.armed_s(3.0) == 2.0 and not arming.stopped
    assert arming.stop().done and arming.stopped and arming.armed_s(3.0) is None
    refused = arming.enable(True, 4.0)
    assert not refused.done and '~/release' in refused.said and arming.armed_s(5.0) is None
    assert arming.release().done and not arming.stopped and arming.armed_s(5.0) is None
    assert arming.enable(True, 6.0).done and arming.armed_s(6.5) == 0.5
    assert arming.enable(False, 7.0).done and arming.armed_s(7.0) is None


def test_a_stop_outlives_the_guard(tmp_path):
    Arming(tmp_path / 'mark', 0.0, armed=True).stop()
    again = Arming(tmp_path / 'mark', 10.0, armed=True)
    assert again.stopped and again.armed_s(11.0) is None
    again.release()
    assert not (tmp_path / 'mark').exists()
    assert Arming(tmp_path / 'mark', 20.0, armed=True).armed_s(20.0) == 0.0


def test_a_stop_counts_where_it_cannot_be_marked(tmp_path):
    arming = Arming(tmp_path / 'nowhere' / 'mark', 0.0, armed=True)
    answer = arming.stop()
    assert arming.stopped and answer.done and 'not outlive' in answer.said
    assert Arming(None, 0.0, armed=True).stop().done


def test_a_mark_that_cannot_be_removed_stays_a_stop(tmp_path):
    mark = tmp_path / 'mark'
    mark.mkdir()  # nothing that unlink takes away
    arming = Arming(mark, 0.0, armed=True)
    answer = arming.release()
    assert not answer.done and arming.stopped and str(mark) in answer.said
    assert not arming.enable(True, 1.0).done
