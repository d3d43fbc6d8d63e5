// The workspaces that a machine keeps for calls that bring none.

internal import MoEPlacement

/// Workspaces that no call uses.
final class IdleWorkspaces: @unchecked Sendable {
  private let monitor = Monitor()
  private var workspaces: [Workspace] = []

  func take() -> Workspace? { monitor.locked { workspaces.popLast() } }

  func keep(_ workspace: Workspace) { monitor.locked { workspaces.append(workspace) } }

  func removeAll() { monitor.locked { workspaces = [] } }
}
