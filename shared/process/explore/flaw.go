package explore

// flaw is a part of the protocol that is left out, to see that it is missed.
type flaw uint8

const (
	sound             flaw = iota
	noFence                // writes do not carry the number of the claim
	sameEpoch              // a claim does not take the process from the run before
	eternalLease           // leases never run out
	noSettle               // a claim does not look at the state
	noHold                 // a claim does not mind who holds the resource
	noCompareAtEnd         // the done state is written whatever the state is
	noCompareAtLaunch      // a launch writes whatever the state is
	launchInTwo            // a launch moves the state first and records the process later
	endInTwo               // the process ends first, and the resource moves later
	chainInTwo             // the next process is born first, and the one before ends later
	noSuccessors           // who ends wakes nobody
	noWakeByHolder         // who finds the resource taken does not say so
	noWakeOfOthers         // a launch wakes nobody
	noWakeByReply          // a reply is stored and wakes nobody
	wakeLost               // a pause forgets the wake that came during the attempt
	noSweep                // lost bells are not rung again
	noNumbers              // the agent obeys commands of any number
	noDelegate             // a process does not go on as its delegate
	failureEnds            // a failed attempt ends the process
	bellTooEarly           // the bell is rung before the commit, and finds nothing
	quietEntry             // a claim that moves the state cancels nobody
	forgetCanceled         // who was canceled begins again where the resource comes back to its start
	timidWord              // a launch takes nothing back
	chainFromNowhere       // a chain does not count from the done state
)
